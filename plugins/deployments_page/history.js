// What was deployed to an environment before, newest first: read when somebody opens it, to compare with and go back to.

import { AirflowError } from "./airflow.js";
import { commitLink } from "./cells.js";
import { bdi, el } from "./dom.js";
import { isDeploy } from "./environments.js";
import { airflowLink, outsideLink, runPath } from "./frame.js";
import { shorten, tellAge, tellDuration, tellKind } from "./words.js";

// Returns a section that fills itself, null where nothing is deployed to. `read` resolves to the deploys that were
// kept, oldest first, null where none were; `rollBack` gets the deploy to go back to.
export function makeHistory(environment, { read, now, rollBack }) {
  if (environment.row.kind === "deploy branch") return null;
  const body = el("p", { class: "faint", role: "status" }, "Reading…");
  const section = el("section", { class: "history", "aria-labelledby": "history-title" }, el("h3", { id: "history-title" }, "Deploys"), body);
  const fill = (kept) => body.replaceWith(makeList(environment, (kept || environment.row.outcomes || []).filter(isDeploy).reverse(), now, rollBack));
  const fail = (error) => {
    if (!(error instanceof AirflowError)) throw error;
    body.textContent = error.kind === "forbidden" ? "You may not read what was deployed before." : `What was deployed before cannot be read: ${error.message}`;
  };
  read().then(fill, fail);
  return section;
}

function makeList(environment, deploys, now, rollBack) {
  if (!deploys.length) return el("p", { class: "faint" }, "Nothing was deployed yet, as far as is known.");
  const running = environment.state === "removed" ? null : deploys.find(({ state }) => state === "success");
  const make = (deploy) => makeDeploy(environment, deploy, deploy === running, now, rollBack);
  return el("ol", { class: "deploys", reversed: true }, ...deploys.map(make));
}

function makeDeploy(environment, deploy, runsNow, now, rollBack) {
  return el(
    "li",
    {},
    el("p", {}, el("span", { class: `dot ${deploy.state}`, "aria-hidden": true }), el("strong", {}, tellTime(deploy.at)), ` · ${tellVerdict(deploy)}, ${tellAge(deploy.at, now)}`, runsNow ? el("span", { class: "badge good" }, "Runs now") : null),
    makeCommit(environment, deploy),
    el("p", { class: "faint" }, bdi(tellWho(deploy))),
    deploy.cause ? el("p", { class: "cause" }, bdi(deploy.cause)) : null,
    makeSteps(environment, deploy, runsNow, rollBack),
  );
}

function tellTime(iso) {
  return new Date(iso).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

function tellVerdict({ kind, state, seconds }) {
  const how = { success: "succeeded", failed: "failed" }[state] || state;
  const what = kind && kind !== "none" ? `${tellKind(kind)} ${how}` : `deploy ${how}`;
  return seconds ? `${what} in ${tellDuration(seconds)}` : what;
}

function makeCommit({ repository }, { commit, subject, commit_author: author }) {
  if (!commit) return el("p", { class: "faint" }, "Nobody told which commit.");
  const wrote = author ? el("span", { class: "faint" }, " by ", bdi(author)) : null;
  return el("p", {}, commitLink(repository, commit), " ", bdi(subject || ""), wrote);
}

// Who wanted it and who said yes, then why.
function tellWho(deploy) {
  const { person, approver, reason, why } = deploy;
  if (deploy.deploy_id) return `Made in Astro${tellStranger(why || "", person)}`;
  const who = deploy.is_forced || person ? `Forced${person ? ` by ${person}` : ""}` : "Planned";
  const told = reason || why;
  return `${who}${approver ? `, approved by ${approver}` : ""}${told ? `: ${told}` : ""}`;
}

// Why such a deploy is there says how it was made, by whom and why, behind the commit, which stands here anyway.
function tellStranger(why, person) {
  const [how] = /, by .*/s.exec(why) || [person ? ` by ${person}` : ""];
  return how;
}

function makeSteps({ row, repository, state }, deploy, runsNow, rollBack) {
  const { commit, dag, run_id: run } = deploy;
  const short = shorten(commit || "");
  const label = state === "removed" ? "Deploy this again" : "Roll back to this";
  const isOther = Boolean(commit) && !runsNow && commit !== row.deployed;
  // Two dots: the two as they are. Three would show nothing where what runs now is the older one.
  const compare = isOther && row.deployed && outsideLink(`${repository}/compare/${commit}..${row.deployed}`, { "aria-label": `Compare ${short} to what runs now, on GitHub` }, "Compare");
  const back = isOther && deploy.state === "success" && el("button", { type: "button", class: "button", "aria-label": `${label}: ${short}`, onclick: () => rollBack(deploy) }, label);
  const open = run && airflowLink(runPath(dag, run), { "aria-label": `Run that deployed ${short}` }, "Run");
  const steps = [compare, open, back].filter(Boolean);
  return steps.length ? el("p", { class: "steps" }, ...steps) : null;
}
