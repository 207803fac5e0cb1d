// The cells of an environment: who it is, how it is and why, what it runs, what comes next, and where to look.

import { bdi, el, moment } from "./dom.js";
import { airflowLink, outsideLink, runPath } from "./frame.js";
import { makeStrip } from "./strip.js";
import { capitalize, KIND, shorten, tellAge, tellDuration, tellHold, tellKind, tellSince, tellState, tellUntil, toneOf, toneOfProof, findProof } from "./words.js";

const NOTHING = "–";

// Column by column: its heading, the column it sorts by, what the cell depends on, and what it shows.
export const COLUMNS = [
  { name: "who", title: "Environment", sort: "name", facts: whoFacts, make: makeWho },
  { name: "state", title: "State", sort: "state", facts: stateFacts, make: makeState },
  { name: "commit", title: "Runs", sort: "commit", facts: commitFacts, make: makeCommit },
  { name: "deploy", title: "Last deploy", sort: "deploy", facts: deployFacts, make: makeDeploy },
  { name: "next", title: "Next", sort: "next", facts: nextFacts, make: makeNext },
  { name: "runs", title: "Last runs", facts: ({ row, flight }) => [row.outcomes, flight], make: makeStrip },
  { name: "links", title: "Links", facts: linkFacts, make: makeLinks },
];

function whoFacts({ name, project, row, repository }) {
  return [name, project, row.kind, row.branch, row.pull, row.pull_title, row.pulls, row.author, repository];
}

function makeWho(environment) {
  const { row, name, project, repository } = environment;
  const open = el("button", { type: "button", class: "name", "data-details": true, title: "Show everything about it" }, bdi(name));
  return el("div", { class: "lines" }, open, makePull(row, repository), makeOrigin(row, project));
}

function makePull(row, repository) {
  if (!row.pull) return null;
  const link = outsideLink(`${repository}/pull/${row.pull}`, { class: "pull" }, `#${row.pull}`);
  const more = (row.pulls || []).length - 1;
  return el("p", { class: "one" }, link, " ", bdi(row.pull_title || ""), more > 0 ? ` and ${more} more` : "");
}

function makeOrigin(row, project) {
  const branch = row.branch !== row.environment ? [" · ", bdi(row.branch)] : [];
  const author = row.author ? [" · ", bdi(row.author)] : [];
  return el("p", { class: "faint one" }, `${KIND[row.kind] || row.kind} · `, bdi(project), ...branch, ...author);
}

function stateFacts({ state, stateAt, why, verb, flight, approval, isPaused, row, lastOutcome }) {
  const run = flight || [row.run_id, row.run_dag];
  const proof = row.verification;
  return [state, stateAt, why, verb, run, approval && approval.task_instance.dag_run_id, isPaused, lastOutcome, row.holds, proof, row.drift];
}

function makeState(environment, now) {
  const { state, stateAt, verb, why, name, row } = environment;
  const badge = el("span", { class: `badge ${toneOf(state)}` }, tellState(state, verb));
  const age = moment(stateAt, tellSince, now);
  const words = why || tellHold((row.holds || [])[0] || "", name);
  return el(
    "div",
    { class: "lines" },
    el("p", {}, badge, " ", el("span", { class: "faint" }, age)),
    makeProof(environment),
    makeDrift(row),
    words && el("p", { class: "why", title: words }, bdi(words)),
    makeStateLink(environment),
  );
}

function makeProof(environment) {
  const proof = findProof(environment);
  return proof && el("p", {}, el("span", { class: `badge said ${toneOfProof(proof.proof)}` }, bdi(proof.said)));
}

// What of it a person or Astro set otherwise stands where the pointer rests, and where the row is opened.
function makeDrift({ drift }) {
  return drift && drift.length ? el("p", {}, el("span", { class: "badge warn", title: drift.join("; ") }, "drift")) : null;
}

function makeStateLink(environment) {
  const { approval, stuck, flight, state, why, lastOutcome, row, isPaused } = environment;
  if (approval) return el("p", {}, approvalLink(approval, {}, "Open the question"));
  if (stuck) return el("p", {}, airflowLink(runPath(stuck.task_instance.dag_id, stuck.task_instance.dag_run_id), {}, "Open the run"));
  if (flight) return el("p", {}, airflowLink(runPath(flight.dag, flight.runId), {}, "Watch the run"));
  if (row.run_id && state === "ended") return el("p", {}, airflowLink(runPath(row.run_dag || row.dag, row.run_id), {}, "Open the run"));
  const isFailed = state === "failed" || state === "failing";
  if (isFailed && lastOutcome) return el("p", {}, airflowLink(runPath(lastOutcome.dag, lastOutcome.run_id), {}, "Open the failed run"));
  if (isPaused) return el("p", {}, airflowLink(`/dags/${row.dag}`, {}, why.includes("paused") ? "Open the DAG" : "Its DAG is paused"));
  return null;
}

export function approvalLink(detail, attributes, ...children) {
  const task = detail.task_instance;
  const mapped = task.map_index >= 0 ? `/mapped/${task.map_index}` : "";
  const path = `${runPath(task.dag_id, task.dag_run_id)}/tasks/${encodeURIComponent(task.task_id)}${mapped}/required_actions`;
  return airflowLink(path, attributes, ...children);
}

function commitFacts({ row, repository, isNewest }) {
  return [row.state, row.deployed, row.deployed_at, row.head, row.head_at, repository, isNewest];
}

function makeCommit({ row, repository, isNewest }, now) {
  if (row.state === "removed") return el("span", { class: "faint" }, NOTHING);
  if (!row.deployed && !row.deployed_at) {
    const newest = row.head ? el("p", { class: "faint" }, "newest ", commitLink(repository, row.head)) : null;
    return el("div", { class: "lines" }, el("p", { class: "faint" }, "nothing yet"), newest);
  }
  const at = row.deployed_at ? el("span", { class: "faint" }, moment(row.deployed_at, tellAge, now)) : null;
  const newest = isNewest ? el("p", { class: "faint" }, "newest commit") : makeNewest(row, repository, now);
  return el("div", { class: "lines" }, el("p", {}, tellDeployed(row, repository), " ", at), newest);
}

// Of a rollback to a deploy that nobody knows any more, the commit is not known.
export function tellDeployed({ deployed }, repository) {
  return deployed ? commitLink(repository, deployed) : el("span", {}, "an unknown commit");
}

function makeNewest(row, repository, now) {
  if (!row.head || row.head === row.deployed) return null;
  const at = row.head_at ? [" ", el("span", { class: "faint" }, moment(row.head_at, tellAge, now))] : [];
  return el("p", { class: "behind" }, "newest ", commitLink(repository, row.head), ...at);
}

export function commitLink(repository, commit) {
  const label = `commit ${shorten(commit)} on GitHub`;
  return outsideLink(`${repository}/commit/${commit}`, { class: "commit", "aria-label": label, title: commit }, shorten(commit));
}

function deployFacts({ row, lastDeploy }) {
  return [lastDeploy, row.state, row.deployed, row.deployed_at, row.deployed_kind];
}

function makeDeploy({ row, lastDeploy }, now) {
  if (!lastDeploy) return makeUntoldDeploy(row);
  const { kind, seconds, at, person, state, reason } = lastDeploy;
  const isTold = state === "success" && isAbout(lastDeploy, row.deployed); // when it was stands beside the commit
  const took = seconds ? el("span", { class: "whole" }, `in ${tellDuration(seconds)}`) : "";
  const how = [state === "success" ? "" : state, took].filter(Boolean).flatMap((part, place) => (place ? [" ", part] : [part]));
  const when = isTold ? [] : [how.length ? ", " : "", moment(at, tellAge, now)];
  const who = person ? [" by ", bdi(person)] : [];
  return el(
    "div",
    { class: "lines" },
    el("p", {}, capitalize(tellKind(kind) || "deploy")),
    el("p", { class: "faint" }, ...how, ...when, ...who),
    reason && el("p", { class: "faint why", title: reason }, "because ", bdi(reason)),
  );
}

// Whether a deploy was about the commit: a release's names the test merge, and the head in the name of its run.
function isAbout({ commit, run_id: run, is_forced: isForced }, deployed) {
  const [, , head, , attempt] = run.split("~");
  return Boolean(deployed) && (commit === deployed || Boolean(!isForced && attempt && deployed.startsWith(head)));
}

// One of which no run of ours told: when it was stands beside the commit, who made it where the row is opened.
function makeUntoldDeploy({ state, deployed_at: at, deployed_kind: kind }) {
  if (at) return kind ? el("p", {}, capitalize(tellKind(kind))) : el("span", { class: "faint" }, NOTHING);
  return el("span", { class: "faint" }, state === "removed" ? NOTHING : "none yet");
}

function nextFacts({ row }) {
  return [row.next_step, row.kept];
}

function makeNext({ row }, now) {
  if (row.kept) return el("div", { class: "lines" }, el("p", {}, "Kept"), el("p", { class: "faint why", title: row.kept }, bdi(row.kept)));
  const step = row.next_step;
  if (!step) return el("span", { class: "faint" }, NOTHING);
  const what = step.what === "delete" ? "Deleted " : step.what === "hibernate" ? "Hibernates " : `${step.what} `;
  const first = el("p", { class: step.what === "delete" ? "due" : "" }, what, moment(step.at, tellUntil, now));
  return el("div", { class: "lines" }, first, el("p", { class: "faint why", title: step.reason }, bdi(step.reason.split("; ")[0])));
}

function linkFacts({ row, flight, lastOutcome }) {
  return [row.airflow_url, row.astro_url, flight && flight.runId, row.run_id, lastOutcome && lastOutcome.run_id];
}

function makeLinks(environment) {
  const { name } = environment;
  const menu = { type: "button", class: "button", "aria-haspopup": "menu", "data-actions": true, "aria-label": `Actions for ${name}` };
  return el("div", { class: "links" }, ...listLinks(environment), el("button", menu, "Actions"));
}

export function listLinks(environment) {
  const { row, name } = environment;
  const run = newestRun(environment);
  return [
    row.airflow_url && outsideLink(row.airflow_url, { "aria-label": `Airflow of ${name}` }, "Airflow"),
    row.astro_url && outsideLink(row.astro_url, { "aria-label": `${name} in Astro` }, "Astro"),
    run && airflowLink(run, { "aria-label": `Newest run of ${name}` }, "Run"),
  ].filter(Boolean);
}

export function newestRun({ row, flight, lastOutcome }) {
  if (flight) return runPath(flight.dag, flight.runId);
  if (row.run_id) return runPath(row.run_dag || row.dag, row.run_id);
  return lastOutcome && runPath(lastOutcome.dag, lastOutcome.run_id);
}
