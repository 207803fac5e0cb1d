// The dialog that shows everything known about an environment, down to the last runs and why they ended so.

import { bdi, el } from "./dom.js";
import { airflowLink, outsideLink, runPath } from "./frame.js";
import { commitLink, listLinks, tellDeployed } from "./cells.js";
import { describe } from "./strip.js";
import { findProof, tellAge, tellError, tellHold, tellRun, tellSince, tellState, tellUntil, toneOf, toneOfProof } from "./words.js";

// `history` is an element that tells what was deployed before, or null.
export function openDetails(dialog, environment, now, history) {
  const close = el("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, bdi(environment.name)),
    makeFacts(environment, now),
    history || "",
    makeRuns(environment, now) || "",
    el("footer", { class: "foot" }, close),
  );
  dialog.showModal();
  close.focus();
}

function makeFacts(environment, now) {
  const shown = listFacts(environment, now).filter(([, value]) => value);
  const pairs = shown.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, ...[value].flat())]);
  return el("dl", { class: "facts" }, ...pairs);
}

function listFacts(environment, now) {
  const { row, name, state, stateAt, verb, why, project, repository } = environment;
  const held = [...(row.holds || []), row.overridden || ""].map((hold) => tellHold(hold, name)); // what is laid over a row hides no hold
  const holds = [...new Set(held)].filter((hold) => hold && hold !== why);
  const proof = findProof(environment) || {};
  const status = [row.status, row.status_reason].filter(Boolean).join(": ");
  return [
    ["State", [el("span", { class: `badge ${toneOf(state)}` }, tellState(state, verb)), ` ${tellSince(stateAt, now)}`]],
    ["Why", why && bdi(why)],
    ["Held", listLines(holds)],
    ["Verified", proof.said && el("span", { class: `badge ${toneOfProof(proof.proof)}` }, bdi(proof.said))],
    ["Import errors", listLines((proof.broken || []).map(tellError))],
    ["Smoke runs", listLines((proof.runs || []).map(tellRun))],
    ["DAGs", listLines((proof.changes || []).map(tellChange))],
    ["Project", bdi(project)],
    ["Branch", row.branch !== name && bdi(row.branch)],
    ["Author", row.author && bdi(row.author)],
    ["Pull request", describePull(row, repository)],
    ["Conflicts", listLines(row.conflicts)],
    ["Connections given", listLines(row.connections)],
    ["Secrets left empty", listLines(row.unfilled)],
    ["Drift", listLines(row.drift)],
    ["Runs", (row.deployed || row.deployed_at) && [tellDeployed(row, repository), row.deployed_at ? ` ${tellAge(row.deployed_at, now)}` : ""]],
    ["Newest", row.head && commitLink(repository, row.head)],
    ["Deployment", row.deployment_id && [bdi(row.deployment_name), ` (${row.deployment_id})`]],
    ["Astro says", status && bdi(status)],
    ["Hibernation", row.override && bdi(row.override)],
    ["Woken by hand", row.woken_at && tellAge(row.woken_at, now)],
    ["Next", row.next_step && bdi(`${row.next_step.what} ${tellUntil(row.next_step.at, now)}: ${row.next_step.reason}`)],
    ["Kept", row.kept && bdi(row.kept)],
    ["Estimated cost", row.cost && bdi(row.cost.said)],
    ["Open", joinLinks(listLinks(environment))],
  ];
}

function tellChange({ dag_id: dag, what, how }) {
  return `${dag}: ${what}${how ? ` (${how})` : ""}`;
}

function describePull(row, repository) {
  if (!row.pull) return null;
  const link = (number) => outsideLink(`${repository}/pull/${number}`, {}, `#${number}`);
  const others = (row.pulls || []).filter((number) => number !== row.pull).flatMap((number) => [", ", link(number)]);
  return [link(row.pull), " ", bdi(row.pull_title || ""), row.base ? ` into ${row.base}` : "", ...others];
}

function joinLinks(links) {
  return links.length ? links.flatMap((link, at) => (at ? [" · ", link] : [link])) : null;
}

function listLines(lines) {
  return lines && lines.length ? el("ul", {}, ...lines.map((line) => el("li", {}, bdi(line)))) : null;
}

function makeRuns({ row }, now) {
  const newestFirst = [...(row.outcomes || [])].reverse();
  if (!newestFirst.length) return null;
  const make = (outcome) => {
    const dot = el("span", { class: `dot ${outcome.state}`, "aria-hidden": true });
    const link = airflowLink(runPath(outcome.dag, outcome.run_id), {}, "run");
    return el("li", {}, dot, bdi(describe(outcome, now)), " ", link);
  };
  return el("section", {}, el("h3", {}, "Last runs"), el("ul", { class: "runs" }, ...newestFirst.map(make)));
}
