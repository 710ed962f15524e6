"""The report in a real browser: no error on its console, no request, and it draws."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import brought
import pytest

from lab.trace import report
from lab.trace.timeline import Timeline

#: The first test of a machine without a browser fetches one.
pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

#: The browser's own requests (updates, time) have this in the place of a page's origin.
NOBODY = "not an origin"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--disable-extensions", "--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr",
    "--virtual-time-budget=3000", "--dump-dom",
)  # fmt: skip


class Visit(NamedTuple):
    """What a page did: its elements at the end, its console lines, its requests."""

    page: str
    console: list[str]
    requests: list[str]


def visit(page: Path, part: str, folder: Path, width: int = 1400) -> Visit:
    log = folder / "net.json"
    flags = [*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--log-net-log={log}",
            f"--window-size={width},1000", f"file://{page}{part}"]  # fmt: skip
    done = brought.browse(flags, folder, env={"HOME": str(folder)}, timeout=120)
    console = re.findall(r"CONSOLE.*", done.stderr.decode(errors="replace"))
    return Visit(done.stdout.decode(errors="replace"), console, list(_requests(log)))


def _requests(log: Path) -> Any:
    found = json.loads(log.read_text())
    start = found["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    for event in found["events"]:
        about = event.get("params") or {}
        if event["type"] == start and about.get("initiator", NOBODY) != NOBODY:
            yield about["url"]


@pytest.fixture
def written(seen: Timeline, tmp_path: Path) -> Path:
    report.write(seen, tmp_path / "report.html")
    return tmp_path / "report.html"


@pytest.mark.parametrize("width", [500, 1400])
def test_it_draws_and_asks_for_nothing(written: Path, tmp_path: Path, width: int) -> None:
    """The page shows the part of the timeline that its address names; the script ran to its end."""
    seen = visit(written, "#3.5-3.6", tmp_path, width)
    assert seen.console == []
    assert seen.requests == []
    assert "3.500000 s to 3.600000 s: 100.000 ms" in seen.page
    assert "rt runs" in seen.page


def test_it_opens_where_something_happens(written: Path, tmp_path: Path) -> None:
    """It does not open with the whole trace, but at a late job, and says which."""
    assert re.search(r"of \d+ late jobs: rt / \w+, ", visit(written, "", tmp_path).page)


#: What is wider than its place, in the words of the page; and the same when it is printed.
MEASURE = """<script>
const parts = [document.documentElement, ...document.querySelectorAll(".scroll, section, .top")];
const wide = () => parts
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.getAttribute("aria-label") || each.tagName);
const found = wide();
dispatchEvent(new Event("beforeprint"));
const paper = document.getElementById("time").clientWidth;
dispatchEvent(new Event("afterprint"));
document.body.dataset.found = `wide: ${found.join()}; paper: ${paper}`;
</script>"""


def test_tables_fit_a_window_of_800_pixels(written: Path, tmp_path: Path) -> None:
    """Nothing must be scrolled sideways. In print everything is as wide as the paper."""
    page = re.sub(r"<meta http-equiv=[^>]*>", "", written.read_text())
    written.write_text(page.replace("</body>", f"{MEASURE}</body>"))
    seen = visit(written, "", tmp_path, 800)
    assert re.search(r'data-found="wide: ; paper: 6\d\d"', seen.page)
    assert seen.console == []


#: A person clicks at a moment, copies the command, goes on with the keyboard; what is then shown.
CHOOSE = """<script>
const time = document.getElementById("time"), place = time.getBoundingClientRect();
const told = () => document.getElementById("goto").innerText.replaceAll("\\n", " ");
time.setPointerCapture = () => {};
const pointer = (what, x) => time.dispatchEvent(new PointerEvent(what,
  { bubbles: true, pointerId: 1, button: 0, clientX: place.left + x, clientY: place.top + 60 }));
const key = (name) =>
  time.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
const seen = [];
seen.push(document.getElementById("goto").hidden);
pointer("pointerdown", 400); pointer("pointermove", 460); pointer("pointerup", 460);
seen.push(document.getElementById("goto").hidden);
location.hash = "#3.5-3.6";
setTimeout(() => {
  pointer("pointerdown", 500); pointer("pointerup", 500);
  seen.push(told());
  key("Enter");
  seen.push(told());
  let clipboard = "";
  // Asking another process of the browser takes real time, and here time is virtual.
  Object.defineProperty(navigator, "clipboard", { value: undefined });
  document.execCommand = () => { clipboard = String(getSelection()); return true; };
  document.getElementById("copy").click();
  setTimeout(() => {
    seen.push(clipboard, document.getElementById("copied").textContent);
    key("0"); pointer("pointerdown", 161); pointer("pointerup", 161);
    seen.push(told());
    document.body.dataset.found = seen.join(" | ");
  }, 300);
}, 300);
</script>"""


def test_a_click_shows_the_command_that_goes_to_that_moment(seen: Timeline, tmp_path: Path) -> None:
    """A drag chooses nothing. Enter chooses the middle of what is shown. The button copies."""
    file = tmp_path / "report.html"
    report.write(seen, file, report.Replay("./inv lab.debug periodic/abcd", 3.1, 9.0))
    page = re.sub(r"<meta http-equiv=[^>]*>", "", file.read_text())
    file.write_text(page.replace("</body>", f"{CHOOSE}</body>"))
    shown = visit(file, "", tmp_path)
    assert shown.console == []
    found = re.search(r'data-found="([^"]*)"', shown.page)
    assert found, shown.page[-2000:]
    before, dragged, clicked, entered, clipboard, copied, early = found[1].split(" | ")
    assert (before, dragged) == ("true", "true")
    at = re.fullmatch(
        r"(3\.5\d+) s on this page: \./inv lab\.debug periodic/abcd --at (0\.4\d*)s Copy ?", clicked
    )
    assert at, clicked
    assert float(at[1]) == pytest.approx(float(at[2]) + 3.1)
    command = "./inv lab.debug periodic/abcd --at 0.45s"
    assert re.match(rf"3\.550+ s on this page: {command} ", entered), entered
    assert (clipboard, copied) == (command, "copied")
    assert "before the guests began" in early
    assert "lab.debug" not in early


def test_the_test_would_see_it(tmp_path: Path) -> None:
    """A test of the test: it finds an error on the console, and a request."""
    page = tmp_path / "bad.html"
    page.write_text('<script>nothing_here()</script><img src="http://address.invalid/a.png">')
    seen = visit(page, "", tmp_path)
    assert any("nothing_here" in line for line in seen.console)
    assert seen.requests == ["http://address.invalid/a.png"]
