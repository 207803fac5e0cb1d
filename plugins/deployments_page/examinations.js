// Reads what the doctor found at each project, and what of Airflow no task sees: asked with the rights of whoever looks.

import { AirflowError } from "./airflow.js";
import { isKnown } from "./checks.js";

const EVERY_MS = 60_000; // the doctor looks daily, and when somebody asks it to
const CHECKS_MAX = 500; // of one project
const JOBS = "/jobs?job_state=running&is_alive=true&order_by=-latest_heartbeat&limit=100";

export class ExaminationReader {
  constructor(airflow, reader) {
    this.airflow = airflow;
    this.reader = reader;
    this.readAt = -Infinity;
    this.kept = { jobs: null, database: null, projects: new Map() };
  }

  // Resolves to {jobs, database, projects}: the types of the jobs that live, the database's kind, and by project its
  // examination. Each stands as {value}, where value is null if there is none, or as {error}; null: not asked yet.
  // A minute's requests: one for each project and one for the jobs; the database is asked for once.
  async read({ projects }) {
    if (performance.now() - this.readAt < EVERY_MS && projects.every(({ name }) => this.kept.projects.has(name))) return this.kept;
    this.readAt = performance.now();
    const [jobs, database, ...found] = await Promise.all([
      this.attempt(() => this.readJobs()),
      this.kept.database && !isPassing(this.kept.database) ? this.kept.database : this.attempt(() => this.readDatabase()),
      ...projects.map(({ name }) => this.attempt(() => this.readExamination(name))),
    ]);
    this.kept = { jobs, database, projects: new Map(projects.map(({ name }, at) => [name, found[at]])) };
    return this.kept;
  }

  async readJobs() {
    const { jobs } = await this.airflow.get(JOBS);
    return jobs.map(({ job_type: type }) => type);
  }

  async readDatabase() {
    return String((await this.airflow.send("GET", "/deploy-ops/database")).kind);
  }

  async readExamination(name) {
    const id = this.reader.fleets.get(name);
    return id === undefined ? null : parseExamination(await this.reader.readState(id, "doctor.examination"));
  }

  async attempt(read) {
    try {
      return { value: await read() };
    } catch (error) {
      if (!(error instanceof AirflowError)) throw error;
      return { error };
    }
  }
}

// What may be otherwise at the next question: not a refusal, and not what an older server does not have.
function isPassing({ error }) {
  return Boolean(error) && !["forbidden", "missing"].includes(error.kind);
}

// Whoever may write assets may write this: what is no examination counts as none, what is no check is left out.
export function parseExamination(found) {
  if (found === null || typeof found !== "object" || Number.isNaN(Date.parse(found.at)) || !Array.isArray(found.checks)) return null;
  const { at, checks, left_out: leftOut, run_id: runId } = found;
  const known = checks.filter(isKnown).slice(0, CHECKS_MAX);
  return { at: String(at), checks: known, leftOut: Number.isInteger(leftOut) ? leftOut : 0, runId: typeof runId === "string" ? runId : "" };
}
