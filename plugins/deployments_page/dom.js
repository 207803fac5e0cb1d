// Makes elements. Data only ever becomes text: there is no way here to make markup of it.

export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) set(made, name, value);
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

function set(made, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
  else made.setAttribute(name, value === true ? "" : String(value));
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
