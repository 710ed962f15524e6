"use strict";
// The lesson beside the consoles: its steps, their checks, and which are passed.

const lesson = {steps: new Map(), place: byId("lesson")};

lesson.load = async () => {
  const answer = await fetch(location.pathname.replace(/\/$/, "") + "/lesson");
  const found = answer.ok ? await answer.json() : null;
  if (!found) return;
  const text = element("div");
  text.innerHTML = found.html; // the server made it of Markdown; HTML in the file is text there
  lesson.place.replaceChildren(element("h2", found.title), text, ...found.steps.map(lesson.add));
  lesson.place.hidden = false;
  if (lesson.last) lesson.show(lesson.last);
};

lesson.add = (step) => {
  const made = element("section", "", {className: "step"});
  const heading = element("h3", step.title);
  const tick = element("span", "", {className: "tick"});
  heading.prepend(tick);
  const text = element("div");
  text.innerHTML = step.html;
  const button = element("button", step.check ? "Check" : "Done", {type: "button"});
  button.setAttribute("aria-label", `${button.textContent}: ${step.title}`);
  button.addEventListener("click", async () => {
    if (await editor.saveAll()) link.send({type: "do", verb: "check", step: step.id});
  });
  const result = element("pre", "", {hidden: true});
  result.setAttribute("role", "status");
  made.append(heading, text, button, result);
  lesson.steps.set(step.id, {made, tick, button, result, title: step.title});
  return made;
};

lesson.show = (seat) => {
  lesson.last = seat;
  for (const [id, step] of lesson.steps) {
    const how = seat.progress[id] || "";
    step.made.dataset.how = how;
    step.tick.textContent = how === "passed" ? "✓ " : "";
    step.tick.title = how;
    step.tick.setAttribute("aria-label", how);
    step.button.disabled = Boolean(seat.busy);
    const busy = seat.busy === `checking: ${step.title}`;
    const mine = seat.checked.step === id;
    step.result.textContent = busy ? "checking …" : mine ? seat.checked.said : "";
    step.result.hidden = !step.result.textContent;
    step.result.dataset.how = busy || !mine ? "" : seat.checked.passed ? "passed" : "failed";
  }
};

lesson.load();
