// Who answered what was asked, in one quarter: read from Airflow's own records of questions and runs.

import { AirflowError } from "./airflow.js";

const PAGE = 100; // the most that Airflow gives in one answer, by default
const PAGES_MAX = 100;
const AT_ONCE = 6;

// "2026-Q4", in UTC.
export function nameQuarter(at) {
  const date = new Date(at);
  return `${date.getUTCFullYear()}-Q${Math.floor(date.getUTCMonth() / 3) + 1}`;
}

// Returns [from, until) in milliseconds, null for what names no quarter.
export function boundQuarter(name) {
  const found = /^(2\d{3})-Q([1-4])$/.exec(name);
  if (!found) return null;
  const [year, first] = [Number(found[1]), (Number(found[2]) - 1) * 3];
  return [Date.UTC(year, first), Date.UTC(year, first + 3)];
}

// The quarter in which `now` is, and so many before it.
export function listQuarters(now, many) {
  const date = new Date(now);
  const at = (back) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() - 3 * back, 1);
  return Array.from({ length: many }, (_, back) => nameQuarter(at(back)));
}

// Resolves to {records, isCut}; the newest answers first. `dags` are those whose questions count.
export async function readApprovals(airflow, dags, quarter) {
  const [from, until] = boundQuarter(quarter);
  const { details, isCut } = await readDetails(airflow, dags, from, until);
  const runs = await readRuns(airflow, details);
  return { records: details.map((detail) => makeRecord(detail, runs.get(keyOf(detail)) || null)), isCut };
}

function keyOf({ task_instance: task }) {
  return `${task.dag_id}\n${task.dag_run_id}`;
}

// Airflow orders by the answer's time, but filters only by the question's: one answered now may be months old.
async function readDetails(airflow, dags, from, until) {
  const projects = [...new Set([...dags].map((dag) => dag.split(".")[0]))].sort().join("|");
  const query = new URLSearchParams({
    response_received: "true",
    order_by: "-responded_at",
    dag_id_prefix_pattern: projects,
    created_at_lte: new Date(until).toISOString(),
    limit: PAGE,
  });
  const found = new Map();
  for (let page = 0, offset = 0; page < PAGES_MAX; page += 1) {
    const answer = await airflow.get(`/dags/~/dagRuns/~/hitlDetails?${query}&offset=${offset}`);
    const given = answer.hitl_details;
    for (const detail of given) if (isWithin(detail, from, until) && dags.has(detail.task_instance.dag_id)) found.set(detail.task_instance.id || keyOf(detail), detail);
    offset += given.length;
    const isOver = given.some(({ responded_at: at }) => Date.parse(at) < from);
    if (!given.length || isOver || offset >= answer.total_entries) return { details: [...found.values()], isCut: false };
  }
  return { details: [...found.values()], isCut: true };
}

function isWithin({ responded_at: at }, from, until) {
  const time = Date.parse(at);
  return time >= from && time < until;
}

// Runs of request DAGs are read by the hundred, each of them asked something; the others, and what those lack, by one.
async function readRuns(airflow, details) {
  const runs = new Map();
  const keep = (run) => runs.set(`${run.dag_id}\n${run.dag_run_id}`, run);
  const tasks = new Map(details.map((detail) => [keyOf(detail), detail.task_instance]));
  const asking = [...new Set([...tasks.values()].map(({ dag_id: dag }) => dag).filter((dag) => dag.endsWith(".request")))];
  if (asking.length) await readRunPages(airflow, asking, details, keep);
  const missing = [...tasks].filter(([key]) => !runs.has(key)).map(([, task]) => task);
  for (let at = 0; at < missing.length; at += AT_ONCE) await Promise.all(missing.slice(at, at + AT_ONCE).map((task) => readRun(airflow, task, keep)));
  return runs;
}

async function readRunPages(airflow, dags, details, keep) {
  const times = details.map(({ created_at: at }) => Date.parse(at));
  const since = new Date(Math.min(...times) - 86_400_000).toISOString(); // an image may be awaited before anybody is asked
  const body = { dag_ids: dags, run_after_gte: since, run_after_lte: new Date(Math.max(...times)).toISOString(), page_limit: PAGE, order_by: "-run_after" };
  for (let page = 0, offset = 0; page < PAGES_MAX; page += 1) {
    const answer = await airflow.post("/dags/~/dagRuns/list", { ...body, page_offset: offset });
    answer.dag_runs.forEach(keep);
    offset += answer.dag_runs.length;
    if (!answer.dag_runs.length || offset >= answer.total_entries) return;
  }
}

// What Airflow has no more, or shows to others only, is left out of the record: the answer still stands.
async function readRun(airflow, { dag_id: dag, dag_run_id: run }, keep) {
  try {
    keep(await airflow.get(`/dags/${encodeURIComponent(dag)}/dagRuns/${encodeURIComponent(run)}`));
  } catch (error) {
    if (!(error instanceof AirflowError) || !["missing", "forbidden"].includes(error.kind)) throw error;
  }
}

function makeRecord(detail, run) {
  const task = detail.task_instance;
  const [project, ...rest] = task.dag_id.split(".");
  const conf = (run && run.conf) || {};
  const job = conf.job || {};
  const isManual = Boolean(run) && run.run_type === "manual";
  const who = detail.responded_by_user || {};
  return {
    at: detail.responded_at,
    asked: detail.created_at,
    who: who.name || who.id || "",
    whoId: who.id || "",
    answer: tellAnswer(detail),
    counts: tellCounts(task),
    comment: String((detail.params_input || {}).comment || ""),
    subject: detail.subject || "",
    project,
    environment: String(conf.branch || job.target || job.branch || rest.filter((part) => part !== "request").join(".") || task.dag_id),
    commit: String(job.commit || job.head || conf.ref || ""),
    askedBy: isManual ? run.triggering_user_name || "a person" : run ? "control" : "",
    reason: String(conf.reason || job.reason || ""),
    dag: task.dag_id,
    run: task.dag_run_id,
    runState: run ? run.state : "",
  };
}

// Nobody's answer is Airflow's own, once the time to answer is over.
function tellAnswer({ chosen_options: options, responded_by_user: user }) {
  if (!user) return "Nobody answered in time";
  return { Approve: "Approved", Reject: "Rejected" }[(options || [])[0]] || (options || []).join(", ");
}

// Our task ends well once the answer was weighed, whatever it was; it fails where who answered may not.
function tellCounts({ state }) {
  if (state === "success") return "yes";
  return ["failed", "up_for_retry", "upstream_failed"].includes(state) ? "no" : "not known yet";
}
