// What one wants to know at a glance: what is being deployed, what failed and why, what goes next.

import { newestRun } from "./cells.js";
import { bdi, el, moment } from "./dom.js";
import { airflowLink } from "./frame.js";
import { isInGroup } from "./query.js";
import { GROUPS, tellSince, tellState, tellUntil } from "./words.js";

const LINES = 3;

const PANELS = [
  { group: "busy", title: "Being deployed now", none: "Nothing is in progress", order: (each) => Date.parse(each.stateAt), line: makeBusy },
  { group: "failed", title: "Failed", none: "Nothing failed", order: (each) => -Date.parse(each.stateAt), line: makeFailed },
  { group: "leaving", title: "Deleted next", none: "Nothing will be deleted", order: leavesAt, line: makeLeaving },
];

export class Glance {
  constructor(element, onMore) {
    this.onMore = onMore;
    this.panels = PANELS.map(makePanel);
    element.append(...this.panels.map(({ section }) => section));
  }

  show(environments, now) {
    for (const kept of this.panels) {
      const { panel } = kept;
      const found = environments.filter((each) => isInGroup(each, panel.group));
      found.sort((a, b) => panel.order(a) - panel.order(b));
      const told = JSON.stringify([found.length, found.slice(0, LINES).map(tellFacts)]);
      if (told !== kept.told) this.fill(kept, found, now);
      kept.told = told;
    }
  }

  fill({ panel, list, section }, found, now) {
    section.classList.toggle("idle", !found.length);
    const at = [...list.querySelectorAll("a, button")].indexOf(document.activeElement);
    const lines = found.slice(0, LINES).map((each) => el("li", {}, ...panel.line(each, now)));
    const more = found.length - LINES;
    if (more > 0) lines.push(el("li", {}, this.makeMore(panel, more)));
    list.replaceChildren(...(lines.length ? lines : [el("li", { class: "faint" }, panel.none)]));
    if (at >= 0) (list.querySelectorAll("a, button")[at] || list.querySelector("a, button") || document.body).focus();
  }

  makeMore(panel, more) {
    const label = `Show all: ${GROUPS[panel.group]}`;
    return el("button", { type: "button", class: "link", "aria-label": label, onclick: () => this.onMore(panel.group) }, `and ${more} more`);
  }
}

function makePanel(panel) {
  const list = el("ul", {});
  const section = el("section", { class: `panel ${panel.group}` }, el("h2", {}, panel.title), list);
  return { panel, list, section, told: null };
}

function tellFacts({ id, state, stateAt, why, verb, row, flight }) {
  return [id, state, stateAt, why, verb, row.next_step, flight];
}

function leavesAt({ row }) {
  return row.next_step ? Date.parse(row.next_step.at) : 0;
}

function nameRun(environment) {
  const run = newestRun(environment);
  return run ? airflowLink(run, { class: "strong" }, bdi(environment.name)) : el("span", { class: "strong" }, bdi(environment.name));
}

function makeBusy(environment, now) {
  const { state, verb, stateAt } = environment;
  return [nameRun(environment), ` ${tellState(state, verb).toLowerCase()} `, el("span", { class: "faint" }, moment(stateAt, tellSince, now))];
}

function makeFailed(environment, now) {
  const { why, stateAt } = environment;
  return [nameRun(environment), " ", el("span", { class: "faint" }, moment(stateAt, tellSince, now)), el("p", { class: "one", title: why }, bdi(why))];
}

function makeLeaving(environment, now) {
  const step = environment.row.next_step;
  const reason = step && step.what === "delete" ? step.reason : environment.why;
  const when = step && step.what === "delete" ? moment(step.at, tellUntil, now) : "now";
  return [nameRun(environment), " ", el("span", { class: "faint" }, when), el("p", { class: "one", title: reason }, bdi(reason))];
}
