// The words of the page: states, verbs, kinds of deploys, ages and durations. Pure.

// In the order of urgency, by which the column sorts; `group` is what the counts on top gather.
export const STATES = {
  failed: { label: "Failed", tone: "bad", group: "failed" },
  unhealthy: { label: "Unhealthy", tone: "bad", group: "failed" },
  failing: { label: "Failing", tone: "bad", group: "failed" },
  approval: { label: "Needs approval", tone: "ask", group: "approval" },
  held: { label: "Held", tone: "warn", group: "held" },
  frozen: { label: "Frozen", tone: "warn", group: "held" },
  deploying: { label: "Deploying", tone: "busy", group: "busy" },
  ended: { label: "Finishing", tone: "busy", group: "busy" },
  waiting: { label: "Waiting", tone: "calm", group: "waiting" },
  live: { label: "Live", tone: "good", group: "live" },
  asleep: { label: "Asleep", tone: "calm", group: "asleep" },
  removed: { label: "Removed", tone: "gone", group: "removed" },
};

export const GROUPS = {
  live: "Live",
  busy: "In progress",
  approval: "Needs approval",
  failed: "Failed",
  held: "Held",
  waiting: "Waiting",
  asleep: "Asleep",
  leaving: "To be deleted",
  removed: "Removed",
};

export const KINDS = { target: "Targets", "deploy branch": "Deploy branches", preview: "Previews" };
export const KIND = { target: "target", "deploy branch": "deploy branch", preview: "preview" };

const DOING = {
  create: "Creating",
  deploy: "Deploying",
  delete: "Deleting",
  update: "Updating",
  merge: "Merging",
  promote: "Promoting",
  hibernate: "Hibernating",
  adopt: "Adopting",
  resume: "Resuming",
  keep: "Keeping",
  verify: "Verifying",
  mute: "Muting",
  request: "Asking for approval",
};

export function tellState(state, verb) {
  return (state === "deploying" && DOING[verb]) || (STATES[state] || { label: state }).label;
}

// Of a question that was answered while its task was about to wait.
export function tellStuck({ responded_by_user: who }) {
  return `${(who && who.name) || "somebody"} answered, and Airflow does not go on with it: it has to be asked again`;
}

export function toneOf(state) {
  return (STATES[state] || { tone: "calm" }).tone;
}

const PROOF_TONES = { pending: "busy", verified: "good", failed: "bad", unknown: "warn" };

export function toneOfProof(proof) {
  return PROOF_TONES[proof] || "calm";
}

const CHANGING = new Set(["create", "deploy", "delete", "promote", "request"]);

// The verdict on what runs; nothing where that is about to be something else, as in the comment on GitHub.
export function findProof({ state, verb, row }) {
  const known = row.verification;
  if (!known || state === "removed") return null;
  return state === "deploying" && CHANGING.has(verb) && known.proof !== "pending" ? null : known;
}

export function tellError({ file, line, error, is_muted: isMuted, is_shared: isShared }) {
  const notes = [isMuted && "muted", isShared && "not of this change"].filter(Boolean).join(", ");
  return `dags/${file}${line ? `, line ${line}` : ""}: ${error}${notes ? ` (${notes})` : ""}`;
}

const RUNS = { success: "succeeded after", failed: "failed after", skipped: "not run", unknown: "not seen to work" };

export function tellRun({ dag_id: dag, outcome, how, seconds, task, lines }) {
  const took = ["success", "failed"].includes(outcome) ? ` ${Math.round(seconds || 0)} s` : "";
  const parts = [`${dag} ${RUNS[outcome] || outcome}${took}${how ? `: ${how}` : ""}`, task && `task ${task}`, ...(lines || [])];
  return parts.filter(Boolean).join(" · ");
}

const DEPLOYS = { dags: "DAG-only deploy", "image-and-dags": "image deploy", none: "nothing to deploy" };

export function tellKind(kind) {
  return DEPLOYS[kind] || kind;
}

const PROOFS = { verified: ", verified", failed: ", does not work", unknown: ", not verified" };

export function tellOutcome(outcome) {
  const kind = outcome.kind && outcome.kind !== "none" ? tellKind(outcome.kind) : "";
  const what = kind && outcome.verb !== "deploy" ? `${outcome.verb}, ${kind}` : kind || outcome.verb;
  const how = { success: "succeeded", failed: "failed", superseded: "was superseded" }[outcome.state] || outcome.state;
  const proof = PROOFS[outcome.proof] || "";
  return outcome.reason ? `${what} ${how}${proof} (because ${outcome.reason})` : `${what} ${how}${proof}`;
}

const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
];

export function tellDuration(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`;
  const at = UNITS.findIndex(([, size]) => seconds >= size);
  const [unit, size] = UNITS[at];
  const whole = Math.floor(seconds / size);
  const next = UNITS[at + 1];
  if (whole > 9 || !next) return `${whole} ${unit}`;
  const rest = Math.floor((seconds - whole * size) / next[1]);
  return rest ? `${whole} ${unit} ${rest} ${next[0]}` : `${whole} ${unit}`;
}

// Roughly: the moment itself stands where the pointer rests.
function tellRoughly(seconds) {
  return tellDuration(seconds).replace(/^(\d+ (?:d|h)) .*/, "$1");
}

export function tellAge(iso, now) {
  const seconds = (now - Date.parse(iso)) / 1000;
  return seconds < 10 ? "just now" : `${tellRoughly(seconds)} ago`;
}

export function tellSince(iso, now) {
  return `for ${tellRoughly((now - Date.parse(iso)) / 1000)}`;
}

export function tellUntil(iso, now) {
  const seconds = (Date.parse(iso) - now) / 1000;
  return seconds <= 0 ? "due now" : `in ${tellDuration(seconds)}`;
}

// A hold without the environment's name, for where that stands anyway.
export function tellHold(hold, name) {
  return hold.replace(` ${name} held: `, ": ");
}

export function capitalize(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export function shorten(commit) {
  return commit.slice(0, 7);
}

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}
