// The strip of an environment's last runs, oldest first: a mark each, told by shape, colour and words; links to its run.

import { el } from "./dom.js";
import { airflowLink, runPath } from "./frame.js";
import { tellAge, tellDuration, tellOutcome } from "./words.js";

const STATES = ["success", "failed", "superseded"];

export function makeStrip(environment, now) {
  const { row, flight } = environment;
  const marks = (row.outcomes || []).map((outcome) => makeMark(outcome, now));
  if (flight) marks.push(makeFlight(flight));
  if (!marks.length) return el("span", { class: "faint" }, environment.state === "removed" ? "–" : "none yet");
  marks.at(-1).firstChild.tabIndex = 0;
  const list = el("ol", { class: "strip", "aria-label": `Last runs of ${environment.name}` }, ...marks);
  list.addEventListener("keydown", walk);
  return list;
}

function makeMark(outcome, now) {
  const state = STATES.includes(outcome.state) ? outcome.state : "superseded";
  const title = describe(outcome, now);
  const kind = outcome.kind === "image-and-dags" ? "image" : "dags";
  const attributes = { class: `mark ${state} ${kind}`, title, "aria-label": title, tabindex: -1 };
  return el("li", {}, airflowLink(runPath(outcome.dag, outcome.run_id), attributes));
}

function makeFlight(flight) {
  const title = `${flight.verb || "run"}, ${flight.state}`;
  const attributes = { class: "mark flying", title, "aria-label": title, tabindex: -1 };
  return el("li", {}, airflowLink(runPath(flight.dag, flight.runId), attributes));
}

export function describe(outcome, now) {
  const took = outcome.seconds ? ` in ${tellDuration(outcome.seconds)}` : "";
  const asked = outcome.person ? ` by ${outcome.person}` : "";
  const approved = outcome.approver ? `, approved by ${outcome.approver}` : "";
  const wrote = outcome.author ? `, head by ${outcome.author}` : "";
  const why = outcome.cause || (outcome.why === outcome.reason ? "" : outcome.why);
  return `${tellOutcome(outcome)}${took}, ${tellAge(outcome.at, now)}${asked}${approved}${wrote}${why ? `: ${why}` : ""}`;
}

// One stop of the Tab key per strip; arrows walk its marks.
function walk(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll("a")];
  const next = links[links.indexOf(event.target) + step];
  if (!next) return;
  event.preventDefault();
  for (const link of links) link.tabIndex = link === next ? 0 : -1;
  next.focus();
}
