// The doctor's strip: a line for each project and one for Airflow, how many checks stand how, and the checks below it.

import { AirflowError } from "./airflow.js";
import { compareCounts, countChecks, judgeAirflow, sortChecks, STATUSES } from "./checks.js";
import { bdi, el, moment } from "./dom.js";
import { airflowLink, runPath } from "./frame.js";
import { DOCTOR } from "./snapshot.js";
import { count, tellAge } from "./words.js";

const SHOWN = 4; // lines, before somebody asks for all
const HEADS = ["Check", "Status", "Found", "What to do"];

// Returns the lines, those that fail first: {name, checks, at, leftOut, runId} or, of what was not looked at, {name, note}.
export function listLines(snapshot, health, { jobs, database, projects }) {
  const dag = snapshot.dags.get(DOCTOR);
  const airflow = { name: "Airflow", isAirflow: true, checks: judgeAirflow({ jobs, database }, health.errors, dag) };
  const lines = [...snapshot.projects.map(({ name }) => makeLine(name, projects.get(name), dag)), airflow];
  return lines.map((line, at) => ({ line, at })).sort((a, b) => compareCounts(a.line.checks || [], b.line.checks || []) || a.at - b.at).map(({ line }) => line);
}

function makeLine(name, { value, error }, dag) {
  if (error) return { name, note: error instanceof AirflowError && error.kind === "forbidden" ? "not known: what the doctor found is not shown to you" : `not known: ${error.message}` };
  if (value) return { name, ...value };
  if (!dag) return { name, note: "the doctor has not looked, or you may not see what it found" };
  return { name, note: `the doctor has not looked yet: ${dag.isPaused ? "unpause" : "trigger"} `, isToTrigger: true };
}

export class Doctor {
  constructor(element) {
    this.list = el("ul", {});
    this.more = el("button", { type: "button", class: "link", onclick: () => this.toggle() });
    this.shown = new Map(); // name → {item, told}
    this.isOpen = false;
    element.append(el("h2", { id: "doctor-title" }, "Doctor"), this.list, this.more);
  }

  show(lines, now) {
    this.last = [lines, now];
    const seen = this.isOpen ? lines : lines.slice(0, SHOWN);
    const items = seen.map((line) => this.keep(line, now));
    if (items.some((item, at) => this.list.children[at] !== item) || this.list.children.length !== items.length) this.place(items);
    const more = lines.length - SHOWN;
    this.more.hidden = more <= 0;
    this.more.textContent = this.isOpen ? "Show fewer" : `and ${more} more`;
  }

  // A line stays what it is, opened and with the focus, until something else is told in it.
  keep(line, now) {
    const told = JSON.stringify(line);
    const kept = this.shown.get(line.name) || { item: el("li", {}), told: "" };
    if (kept.told !== told) fill(kept.item, line, now);
    this.shown.set(line.name, { item: kept.item, told });
    return kept.item;
  }

  place(items) {
    const focused = document.activeElement;
    this.list.replaceChildren(...items);
    if (focused !== document.activeElement && this.list.contains(focused)) focused.focus();
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.show(...this.last);
  }
}

function fill(item, line, now) {
  const before = item.querySelector("details");
  const hadFocus = before !== null && before.contains(document.activeElement);
  const made = line.checks ? makeDetails(line, now, before !== null && before.open) : makeNote(line);
  item.replaceChildren(made);
  if (hadFocus) (item.querySelector("summary") || item.querySelector("a") || document.body).focus();
}

function makeNote({ name, note, isToTrigger }) {
  return el("p", { class: "note" }, el("strong", {}, bdi(name)), ": ", note, isToTrigger ? airflowLink(`/dags/${DOCTOR}`, {}, DOCTOR) : null);
}

// The table is made when it is opened: there may be many projects, each with many checks.
function makeDetails(line, now, isOpen) {
  const body = el("div", { class: "body" });
  const details = el("details", { open: isOpen }, el("summary", {}, el("strong", {}, bdi(line.name)), ...makeCounts(line, now)), body);
  const draw = () => {
    if (details.open !== body.hasChildNodes()) body.replaceChildren(...(details.open ? makeBody(line, now) : []));
  };
  details.addEventListener("toggle", draw);
  draw();
  return details;
}

function makeCounts({ checks, at, isAirflow }, now) {
  const badges = countChecks(checks).map(([status, number]) => el("span", { class: `badge ${STATUSES[status]}` }, `${number} ${status}`));
  const when = isAirflow ? "as you see it" : el("span", { class: "faint" }, "looked ", moment(at, tellAge, now));
  return [...badges, isAirflow ? el("span", { class: "faint" }, when) : when].flatMap((each) => [" ", each]);
}

function makeBody(line, now) {
  const rows = sortChecks(line.checks).map(makeRow);
  const head = el("tr", { role: "row" }, ...HEADS.map((name) => el("th", { role: "columnheader", scope: "col" }, name)));
  const label = `Checks of ${line.name}`;
  const table = el("table", { class: "checks", role: "table", "aria-label": label }, el("thead", { role: "rowgroup" }, head), el("tbody", { role: "rowgroup" }, ...rows));
  return [line.isAirflow ? null : makeSource(line), table].filter(Boolean);
}

function makeSource({ name, leftOut, runId }) {
  const whole = airflowLink(`/dags/${DOCTOR}`, {}, DOCTOR);
  const run = () => airflowLink(`${runPath(DOCTOR, runId)}/tasks/${encodeURIComponent(name)}`, { "aria-label": `Run of the doctor for ${name}` }, "Run of the doctor");
  const more = leftOut ? `; ${count(leftOut, "further check")} only there` : "";
  return el("p", { class: "faint" }, runId ? run() : whole, `: its log says all of it${more}`);
}

function makeRow({ area, name, status, found, advice, link }) {
  const cells = [
    [el("span", { class: "faint" }, `${area} `), bdi(name)],
    [el("span", { class: `badge ${STATUSES[status]}` }, status)],
    [bdi(found)],
    [bdi(advice), link ? [" ", airflowLink(link, {}, "See in Airflow")] : ""].flat(),
  ];
  return el("tr", { role: "row" }, ...cells.map((cell) => el("td", { role: "cell" }, ...cell)));
}
