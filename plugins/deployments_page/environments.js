// Makes environments out of a snapshot: each row, with what is in flight right now laid over it. Pure.

import { reveal } from "./dom.js";
import { KIND, STATES, tellStuck } from "./words.js";

const COMMIT = 40;
const DEPLOYING = new Set(["create", "deploy"]);
const STARTING_MS = 15_000; // so much later may a run that control dispatched show among Airflow's

// Returns {environments, strays, stuckStrays, unseen} as of the moment of reading; strays are questions of DAGs that work for no
// environment, open and answered in vain.
export function makeEnvironments(snapshot, now) {
  const flights = findFlights(snapshot.runs || []);
  const approvals = keyByRun(snapshot.approvals);
  const stuck = keyByRun(snapshot.stuck);
  const environments = [];
  const unseen = [];
  for (const { name, summary, rows } of snapshot.projects)
    for (const row of rows) {
      if (!snapshot.dags.has(row.dag)) unseen.push(row.dag);
      else environments.push(makeEnvironment(name, summary, row, flights, { approvals, stuck }, snapshot, now));
    }
  const own = new Set(snapshot.projects.flatMap(({ rows }) => rows.flatMap((row) => [row.dag, row.request_dag])));
  const [strays, stuckStrays] = [approvals, stuck].map((found) => [...found.values()].filter((detail) => !own.has(detail.task_instance.dag_id)));
  return { environments, strays, stuckStrays, unseen: [...new Set(unseen)] };
}

function keyByRun(details) {
  return new Map((details || []).map((detail) => [keyOf(detail.task_instance), detail]));
}

function keyOf(task) {
  return `${task.dag_id}\n${task.dag_run_id}`;
}

// A run's environment: a preview's run tells it by its id or its form; every other DAG works for one environment.
function findFlights(runs) {
  const flights = new Map();
  for (const run of [...runs].reverse()) {
    const key = /\.preview$/.test(run.dag_id) ? `${run.dag_id}\n${nameFromRun(run)}` : run.dag_id;
    const alive = flights.get(key);
    if (!alive || alive.state !== "running" || run.state === "running") flights.set(key, run);
  }
  return flights;
}

function nameFromRun(run) {
  const branch = (run.conf || {}).branch;
  if (run.run_type === "manual" && typeof branch === "string" && branch) return `branch ${branch}`;
  return run.dag_run_id.split("~")[0];
}

function findFlight(row, flights) {
  if (row.kind !== "preview") return flights.get(row.dag);
  return flights.get(`${row.dag}\n${row.slug}`) || flights.get(`${row.dag}\nbranch ${row.branch}`);
}

// The question of the run that control knows, or of one that began since its last pass. Older ones are void: Airflow
// keeps them until somebody answers, but nothing follows from it.
function findApproval(row, run, approvals, since) {
  const known = approvals.get(keyOf({ dag_id: row.run_dag, dag_run_id: row.run_id }));
  const found = known || (run && approvals.get(keyOf(run)));
  if (found || !row.request_dag) return found || null;
  const isNew = ({ task_instance: task, created_at: at }) => task.dag_id === row.request_dag && Date.parse(at) > Date.parse(since);
  return [...approvals.values()].find(isNew) || null;
}

function makeEnvironment(project, summary, row, flights, { approvals, stuck }, snapshot, now) {
  const run = findFlight(row, flights);
  const approval = findApproval(row, run, approvals, summary.at);
  const lastOutcome = (row.outcomes || []).at(-1) || null;
  const made = {
    id: `${project}/${row.slug}`,
    project,
    row,
    name: row.environment,
    state: row.state,
    stateAt: row.state_at,
    why: row.why || "",
    verb: row.verb || "",
    flight: run ? readFlight(run) : null,
    approval,
    stuck: approval ? null : findApproval(row, run, stuck, summary.at),
    isAlive: Boolean(run) || (snapshot.runs || []).some((each) => each.dag_run_id === row.run_id && each.dag_id === row.run_dag),
    isPaused: snapshot.dags.get(row.dag).isPaused,
    lastOutcome,
    lastDeploy: findLastDeploy(row),
    isNewest: isNewest(row),
    repository: summary.repository_url,
  };
  overlay(made, snapshot.runs !== null, now);
  made.group = (STATES[made.state] || { group: "held" }).group;
  made.isLeaving = isLeaving(made);
  made.search = makeSearch(made);
  return made;
}

// Whether a run deployed something, or was to. A row also holds other runs.
export function isDeploy({ verb, state, kind }) {
  return DEPLOYING.has(verb) && state !== "superseded" && (state === "failed" || Boolean(kind && kind !== "none"));
}

// A deploy ends after Astro's record of it was made: one that ended before what runs was not the last. Nobody told us of
// that one, so there is none to show.
function findLastDeploy(row) {
  const told = (row.outcomes || []).findLast(isDeploy);
  const isLast = told && !(Date.parse(told.at) < Date.parse(row.deployed_at));
  return isLast ? told : null;
}

// Whether it runs the newest commit of what it follows. What was deployed over that does not; nor does a target whose
// state says that it follows nothing now, though no newer commit is known.
function isNewest(row) {
  const followsNothing = row.state === "live" && row.why;
  return Boolean(row.deployed) && row.deployed === row.head && !row.overridden && !followsNothing;
}

// The branches that the environment's project speaks of, its own first; none with characters that cannot be seen.
export function listBranches(environments, { project, row }) {
  const alive = environments.filter((each) => each.project === project && each.state !== "removed");
  const known = alive.flatMap((each) => [each.row.branch, each.row.base]).sort();
  return [...new Set([row.branch, ...known])].filter((name) => name && reveal(name) === name);
}

function isLeaving({ row, state, verb }) {
  return state !== "removed" && ((row.next_step || {}).what === "delete" || verb === "delete");
}

// The rows are as old as control's last pass; runs and approvals are of this moment.
function overlay(made, areRunsKnown, now) {
  const { approval, stuck, flight, row } = made;
  if (approval || stuck) {
    made.stateAt = row.state === "approval" ? row.state_at : (approval || stuck).created_at;
    made.state = "approval";
    made.why = stuck ? tellStuck(stuck) : approval.subject || made.why;
  } else if (flight) {
    if (row.state !== "deploying" || row.run_id !== flight.runId) made.why = flight.why;
    made.state = "deploying";
    made.stateAt = flight.since;
    made.verb = flight.verb || row.verb;
  } else if (areRunsKnown && hasRunEnded(made, now)) {
    made.state = "ended";
    made.why = "its run has ended";
  }
}

// Whether control left it to a run that is no longer there. Astro's own deploy, or somebody's from elsewhere, has none.
function hasRunEnded({ row, isAlive }, now) {
  const isOurs = (row.state === "deploying" || row.state === "approval") && row.run_id;
  return isOurs && !isAlive && now - Date.parse(row.state_at) > STARTING_MS;
}

function readFlight(run) {
  const parts = run.dag_run_id.split("~");
  const isByComment = parts[2] === "comment";
  const form = run.run_type === "manual" ? run.conf || {} : (isByComment && (run.conf || {}).job) || {};
  const person = (isByComment ? form.person : run.run_type === "manual" && run.triggering_user_name) || "";
  return {
    runId: run.dag_run_id,
    dag: run.dag_id,
    state: run.state,
    since: run.start_date || run.queued_at || run.run_after,
    verb: String(form.action || (parts.length > 2 ? parts[1] : "") || ""),
    person,
    why: [run.state === "queued" ? "queued" : "", person && `by ${person}`, form.reason && `: ${form.reason}`]
      .filter(Boolean)
      .join(" ")
      .replace(" : ", ": "),
  };
}

function makeSearch({ project, row, state, why, name }) {
  const pulls = [row.pull, ...(row.pulls || [])].filter(Boolean).map((number) => `#${number}`);
  const commits = [row.head, row.deployed].filter((commit) => commit && commit.length === COMMIT);
  const words = [name, row.branch, row.slug, project, KIND[row.kind], row.author, row.pull_title, row.base, state, why];
  return [...words, ...pulls, ...commits, row.deployment_name, row.kept].filter(Boolean).join("\n").toLowerCase();
}
