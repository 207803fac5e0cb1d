// Makes elements. Data only ever becomes text: there is no way here to make markup of it.

// What shows nothing, or turns what stands around it; the product's own texts show the same (core/text/visible.py).
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\uffa0\u{e0100}-\u{e01ef}]/gu;

export function reveal(text) {
  return text.replace(UNSEEN, (each) => `<U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}>`);
}

const SHOWN = new Set(["title", "aria-label"]);

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  const shown = children.filter((child) => child !== null && child !== undefined && child !== "");
  made.append(...shown.map((child) => (typeof child === "string" ? reveal(child) : child)));
  return made;
}

function set(made, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
  else made.setAttribute(name, value === true ? "" : SHOWN.has(name) ? reveal(String(value)) : String(value));
}

// A name from outside, kept apart from the direction of the text around it.
export function bdi(text, attributes = {}) {
  return el("bdi", attributes, text);
}

// A moment, told as an age that `refreshTimes` keeps right; in full where the pointer rests.
export function moment(iso, tell, now) {
  const time = el("time", { datetime: iso, title: new Date(iso).toLocaleString() });
  time.tell = tell;
  time.textContent = tell(iso, now);
  return time;
}

export function refreshTimes(root, now) {
  for (const time of root.querySelectorAll("time")) {
    if (!time.tell) continue;
    const told = time.tell(time.dateTime, now);
    if (time.textContent !== told) time.textContent = told;
  }
}
