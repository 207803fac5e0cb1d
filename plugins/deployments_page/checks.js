// The doctor's checks: how they stand together, which come first, and the page's own ones of Airflow. Pure.

import { count } from "./words.js";

// From what matters most on; `status` as the doctor writes it.
export const STATUSES = { fail: "bad", warn: "warn", "not known": "calm", ok: "good" };
const RANKS = Object.keys(STATUSES);
const TEXTS = ["area", "name", "found", "advice"];

export function isKnown(check) {
  return check !== null && typeof check === "object" && RANKS.includes(check.status) && TEXTS.every((text) => typeof check[text] === "string");
}

// What fails first; those of one status stay in their order.
export function sortChecks(checks) {
  return [...checks].sort((a, b) => RANKS.indexOf(a.status) - RANKS.indexOf(b.status));
}

// [[status, how many]], without those of which there are none.
export function countChecks(checks) {
  const counts = RANKS.map((status) => [status, checks.filter((check) => check.status === status).length]);
  return counts.filter(([, number]) => number);
}

// Where one comes first among others: by what fails, then by what warns.
export function compareCounts(a, b) {
  const of = (checks, status) => checks.filter((check) => check.status === status).length;
  return of(b, "fail") - of(a, "fail") || of(b, "warn") - of(a, "warn");
}

// Returns what no task sees: how many schedulers and triggerers live, import errors of ours, the database's kind, and
// whether the doctor looks by itself. `link` is a path of Airflow's where people see more.
export function judgeAirflow({ jobs, database }, errors, doctorDag) {
  return [
    judgeJobs(jobs, "SchedulerJob", "scheduler", "nothing starts"),
    judgeJobs(jobs, "TriggererJob", "triggerer", "nothing is noticed, and no deploy settles"),
    judgeErrors(errors),
    judgeDatabase(database),
    judgeDoctor(doctorDag),
  ];
}

function make(name, status, found, advice = "", link = "") {
  return { area: "Airflow", name, status, found, advice, link };
}

function explain({ error }) {
  return error.kind === "forbidden" ? "Airflow does not show it to you (HTTP 403)" : `Airflow did not tell: ${error.message}`;
}

function judgeJobs(jobs, type, what, lost) {
  const name = `${what}s`;
  if (jobs.error) return make(name, "not known", explain(jobs), "ask somebody who may see Airflow's jobs; the line on top says whether one is healthy");
  const alive = jobs.value.filter((each) => each === type).length;
  if (!alive) return make(name, "fail", "none is alive", `start one: without it ${lost}`);
  return make(name, "ok", alive === 1 ? "1 is alive; while it is replaced, work waits" : `${alive} are alive`);
}

function judgeErrors(errors) {
  const link = "/dags";
  if (errors === null) return make("import errors", "not known", "Airflow does not show them to you", "ask somebody who may see them", link);
  if (!errors.length) return make("import errors", "ok", "none of Deploy Ops");
  const files = [...new Set(errors.map(({ filename }) => filename))];
  return make("import errors", "fail", `${count(errors.length, "error")}, in ${files.join(", ")}`, "mend what Airflow says there: DAGs of a file with an error are gone or old", link);
}

function judgeDatabase(database) {
  if (database.error) return make("database", "not known", explain(database), "ask somebody who may see Airflow's configuration; SQLite is for trying out alone");
  if (database.value === "sqlite") return make("database", "warn", "SQLite", "use PostgreSQL in production: tasks and people block one another here");
  return make("database", "ok", database.value);
}

function judgeDoctor(dag) {
  const name = "the doctor's DAG";
  if (!dag) return make(name, "not known", "it is not there, or you may not see it", "look whether Airflow has import errors");
  if (dag.isPaused) return make(name, "warn", "it is paused, so that nobody looks daily", "unpause it");
  return make(name, "ok", "it looks daily");
}
