// What may be asked of an environment: which forms there are, their fields, and the run that each one starts. Pure.

import { shorten } from "./words.js";

const REASON = { name: "reason", kind: "text", label: "Reason", hint: "Stands in the deploy's description, with your name", isRequired: true };
const REASON_OF_RUN = { ...REASON, hint: "Stands among the environment's last runs, with your name" };
const DRY = { name: "dry_run", kind: "switch", label: "Dry run", hint: "Only show what would be done; write nothing", value: false };
const REF = { name: "ref", kind: "text", label: "What to deploy" };
const REF_HINTS = {
  preview: "A branch, tag or commit. Empty: the branch's newest commit. Another one than that stays deployed until the branch moves",
  target: "A branch, tag or commit. Empty: what the target follows has now. Another commit than that stays deployed until somebody resumes it",
};
const WAKE = { name: "wake", kind: "switch", label: "Wake", hint: "Wake the Deployment first, if it is asleep", value: false };
const CREATE = { name: "create_if_missing", kind: "switch", label: "Create if missing", hint: "Make the Deployment where there is none; if this is off, the run fails then", value: true };
const DEPLOY_TYPE = {
  name: "deploy_type",
  kind: "choice",
  label: "Deploy type",
  options: [
    ["infer", "Infer: compare with what is deployed"],
    ["dags", "DAG-only deploy"],
    ["image-and-dags", "Image deploy"],
  ],
  value: "infer",
};

// What the DAGs' forms take where nothing is said.
const UNSAID = { ref: "", deploy_type: "infer", wake: false, create_if_missing: true, dry_run: false };

// Each: {id, label, title, words, dag, conf, fields, isDangerous}.
// `branches` are those that a person may mean.
export function listActions(environment, branches) {
  const { kind } = environment.row;
  if (environment.state === "removed") return kind === "preview" ? [force(environment, branches)] : [];
  if (kind === "preview") return listPreviewActions(environment, branches);
  if (kind === "target") return [redeploy(environment), force(environment, branches), resume(environment), ...listProofActions(environment)];
  return [promote(environment), adoptCommit(environment)];
}

function listPreviewActions(environment, branches) {
  const { row, state } = environment;
  const adopting = row.deployment_id || state !== "held" ? [] : [adopt(environment)];
  const having = row.deployment_id ? [refresh(environment), keep(environment), remove(environment)] : [];
  return [redeploy(environment), force(environment, branches), resume(environment), ...listProofActions(environment), ...adopting, ...having];
}

// Where nothing is verified, nothing can be asked.
function listProofActions(environment) {
  const { verification, kind } = environment.row;
  if (!verification) return [];
  const isMutable = kind === "preview" && (verification.broken || []).some((each) => !each.is_muted && !each.is_shared);
  return [verify(environment), ...(isMutable ? [mute(environment)] : [])];
}

function make(environment, action, more) {
  const { row } = environment;
  const isAsked = action === "deploy" && row.request_dag;
  const conf = { ...(row.kind === "preview" && { branch: row.branch }), ...(!isAsked && { action }) };
  const asked = isAsked ? " A person has to approve it first." : "";
  return { isDangerous: false, ...more, dag: isAsked ? row.request_dag : row.dag, conf, words: `${more.words}${asked}` };
}

// What a person's deploy does with gates that are closed: they are skipped and named, or the policy lets nobody do that.
function tellGates({ gated, gates }) {
  if (!gated) return "";
  const closed = gates && gates.length ? `: ${gates.join("; ")}` : "";
  if (gated === "never") return ` The policy lets nobody skip a gate: while one is closed, the run fails${closed}.`;
  return ` It skips gates that are closed, and names them${closed}.`;
}

function redeploy(environment) {
  const { row, state, isNewest } = environment;
  const what = isNewest ? "The newest commit runs already: its DAGs are deployed again." : "Deploys the newest commit.";
  const words = `${what}${tellGates(row)}`;
  const fields = [{ ...DEPLOY_TYPE, value: isNewest ? "dags" : "infer" }, { ...REASON }];
  if (state === "asleep") fields.push({ ...WAKE, value: true });
  return make(environment, "deploy", { id: "redeploy", label: "Redeploy", title: "Redeploy", words, fields });
}

function force(environment, branches) {
  const { row, state } = environment;
  const ref = { ...REF, hint: REF_HINTS[row.kind], suggestions: branches };
  const creating = row.kind === "preview" ? [CREATE] : [];
  const fields = [ref, DEPLOY_TYPE, REASON, { ...WAKE, value: state === "asleep" }, DRY, ...creating];
  const words = `Deploys any branch, tag or commit, whatever the plan says.${tellGates(row)}`;
  return make(environment, "deploy", { id: "force", label: "Force…", title: "Force a deploy", words, fields });
}

function resume(environment) {
  const words = environment.row.kind === "preview" ? tellResumedPreview(environment) : tellResumedTarget(environment);
  const reason = environment.row.kind === "preview" ? REASON : REASON_OF_RUN; // a target's run deploys nothing itself
  return make(environment, "resume", { id: "resume", label: "Resume", title: "Resume", words, fields: [reason] });
}

function tellResumedPreview({ isNewest }) {
  const then = isNewest ? "The newest commit runs already: nothing is deployed." : "The newest commit is deployed.";
  return `Ends what holds it, also that it is kept. ${then}`;
}

// What follows as far as the row tells, or why nothing does; the run looks once more, and says so, too.
function tellResumedTarget({ row }) {
  const asked = row.request_dag ? ", once a person has approved it" : "";
  const hasFailed = row.state === "failing" || (row.needs || []).some(({ what, remedy }) => what === "deploy" && remedy === "retry");
  if (row.overridden && row.head === row.deployed)
    return "Ends the override. Nothing is deployed: there is nothing newer that it follows, and it stays as it is until there is.";
  if (row.overridden) return `Ends the override: ${shorten(row.head)} is deployed${asked || " again"}.`;
  if (hasFailed) return `Forgets that its deploy failed: what it follows is tried again${asked}.`;
  return "Nothing is deployed: nobody overrode what it follows, and no deploy of it failed.";
}

function refresh(environment) {
  const words = "Lays the template, and what is mapped into the environment, anew; its code stays.";
  return make(environment, "refresh", { id: "refresh", label: "Refresh", title: "Refresh", words, fields: [REASON, DRY] });
}

function verify(environment) {
  const words = "Asks the Deployment's own Airflow whether what runs there works. Nothing is deployed.";
  return make(environment, "verify", { id: "verify", label: "Verify", title: "Verify what runs", words, fields: [{ ...REASON, hint: "Stands in the run's log" }] });
}

function mute(environment) {
  const files = (environment.row.verification.broken || []).map(({ file }) => file);
  const file = { name: "file", kind: "text", label: "File", hint: "Below dags/", suggestions: files, value: files[0], isRequired: true };
  const words = "The import error of this file fails no verification of the branch, until the error changes.";
  const reason = { ...REASON, hint: "Is remembered with the error" };
  return make(environment, "mute", { id: "mute", label: "Mute an error…", title: "Mute an import error", words, fields: [file, reason] });
}

function keep(environment) {
  const words = "Cleanup neither hibernates nor deletes it, however idle it is.";
  return make(environment, "keep", { id: "keep", label: "Keep", title: "Keep", words, fields: [REASON_OF_RUN] });
}

function adopt(environment) {
  const words = "Marks a Deployment of the preview's name as ours. A person has to approve it first.";
  return make(environment, "adopt", { id: "adopt", label: "Adopt…", title: "Adopt a Deployment", words, fields: [REASON_OF_RUN] });
}

function remove(environment) {
  const { branch } = environment.row;
  const confirm = { name: "confirm", kind: "text", label: "Type the branch to confirm", hint: branch, isRequired: true, mustEqual: branch };
  const words = "Deletes the Deployment with all it holds, and makes no new one until the branch moves.";
  const more = { id: "delete", label: "Delete…", title: "Delete the Deployment", words, fields: [confirm, REASON_OF_RUN], isDangerous: true };
  return make(environment, "delete", more);
}

function promote(environment) {
  const words = "Brings the deploy branch to the open pull requests' DAGs.";
  const reason = { ...REASON, hint: "Stands in the run's log" };
  return make(environment, "promote", { id: "promote", label: "Promote", title: "Promote", words, fields: [reason, DRY] });
}

function adoptCommit(environment) {
  const words = "Takes over the commit that somebody else pushed to the deploy branch, then promotes on top of it.";
  const reason = { ...REASON, hint: "Stands in the run's log" };
  return make(environment, "adopt", { id: "adopt", label: "Adopt…", title: "Adopt the commit", words, fields: [reason, DRY] });
}

// The run's conf: of what was filled in, what says something; a confirmation is only for the page.
export function makeConf(action, entered) {
  const sent = Object.entries(entered).filter(([name, value]) => name !== "confirm" && value !== UNSAID[name]);
  return { ...action.conf, ...Object.fromEntries(sent) };
}
