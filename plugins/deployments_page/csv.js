// Makes a table that spreadsheets open, and none of whose cells they take for a formula. Pure, but for the saving.

import { reveal } from "./dom.js";

// Spreadsheets take a cell that begins so for a formula, also with spaces before it; some part cells at semicolons.
const FORMULA = /(^|;)([\s"']*)(?=[=+\-@\uff1d\uff0b\uff0d\uff20])/g;

function writeCell(value) {
  const text = reveal(String(value ?? "").replace(/\s+/g, " ").trim());
  return `"${text.replace(FORMULA, "$1'$2").replaceAll('"', '""')}"`;
}

// RFC 4180, with the mark by which Excel knows UTF-8.
export function makeCsv(rows) {
  return `\ufeff${rows.map((cells) => `${cells.map(writeCell).join(",")}\r\n`).join("")}`;
}

// The link is in no document: what leads links out of Airflow's frame does not see it.
export function saveFile(name, text, type) {
  const url = URL.createObjectURL(new Blob([text], { type }));
  Object.assign(document.createElement("a"), { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
