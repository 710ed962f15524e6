"use strict";
// A card with the link of each seat, as text and as a QR code.

const here = location.pathname.replace(/\/links$/, "");

async function cards() {
  const seats = await (await fetch(`${here}/seats`)).json();
  byId("cards").replaceChildren(...seats.map(({name, link}) => {
    const card = element("figure");
    const url = location.origin + link;
    const code = element("img", "", {alt: `QR code of the link of ${name}`});
    code.src = `${here}/code?text=${encodeURIComponent(url)}`;
    const words = element("figcaption", name);
    words.append(element("a", url, {href: url}));
    card.append(code, words);
    return card;
  }));
}

cards();
