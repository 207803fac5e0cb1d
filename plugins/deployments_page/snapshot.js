// Reads what the page shows: projects, their rows, and what is in flight. Rows only where their digest changed.

import { AirflowError } from "./airflow.js";

const PAGE = 100; // the most that Airflow gives in one answer, by default
const ASSET = /^deploy_ops\.(.+)\.(fleet|repository)$/;
const ASSETS_EVERY = 60; // polls; a project's asset keeps its id
export const DOCTOR = "deploy_ops.doctor";
const INSTALLATION = new Set([DOCTOR]); // DAGs of no project, though they are called like one's
const PARTS = 256; // the most into which a value is split
const POOL = "deploy_ops_cli"; // in it runs call the Astro CLI; without it Airflow never starts their steps
const LOCAL = new Set(["forbidden", "refused", "broken"]); // failures that may be of one project's store alone

export class SnapshotReader {
  constructor(airflow) {
    this.airflow = airflow;
    this.fleets = new Map(); // project → asset id
    this.repositories = new Map(); // likewise; its store holds how GitHub and Astro were seen
    this.kept = new Map(); // project → {summary, shards}: what was read of it last, digests in the summary
    this.polls = 0;
    this.missingPool = ""; // its name
  }

  // Resolves to {dags, projects, runs, approvals, stuck, gaps, missingPool}; throws what keeps everything from being shown. A project that
  // cannot be read has its `failure`, and what was read of it last.
  async read() {
    const gaps = [];
    const dags = await this.readDags();
    const names = listProjects(dags);
    if (this.missingPool || this.polls % ASSETS_EVERY === 0) this.missingPool = names.length && !(await this.hasPool()) ? POOL : "";
    await this.readFleets(names, gaps);
    const projects = await Promise.all(names.map((name) => this.readProject(name)));
    const [runs, questions] = await Promise.all([
      this.attempt(gaps, "what is in flight", () => this.readRuns(dags, projects)),
      this.attempt(gaps, "what waits for approval", () => this.readQuestions(dags)),
    ]);
    return { dags, projects, runs, ...questions, gaps, missingPool: this.missingPool };
  }

  async readDags() {
    const dags = await this.readAll("/dags?tags=deploy-ops", "dags");
    return new Map(dags.map((dag) => [dag.dag_id, { isPaused: dag.is_paused }]));
  }

  async readFleets(names, gaps) {
    const isDue = this.polls++ % ASSETS_EVERY === 0 || names.some((name) => !this.fleets.has(name));
    if (!isDue) return;
    const read = () => this.readAll("/assets?name_pattern=deploy_ops.%25", "assets");
    const assets = await this.attempt(gaps, "the assets in which environments are kept", read);
    for (const { name, id } of assets || []) {
      const [, project, kind] = ASSET.exec(name) || [];
      if (kind) (kind === "fleet" ? this.fleets : this.repositories).set(project, id);
    }
  }

  async readProject(name) {
    let failure = null;
    try {
      this.kept.set(name, await this.readStore(name));
    } catch (error) {
      if (!(error instanceof AirflowError) || !LOCAL.has(error.kind)) throw error;
      failure = error;
    }
    return { name, failure, ...this.recall(name) };
  }

  recall(name) {
    const { summary, shards } = this.kept.get(name) || { summary: null, shards: new Map() };
    return { summary, rows: [...shards.values()].flat() };
  }

  async readStore(name) {
    const id = this.fleets.get(name);
    const summary = id === undefined ? null : await this.readState(id, "view.summary");
    if (summary === null) return { summary, shards: new Map() };
    return { summary, shards: await this.readShards(id, summary.digests, this.kept.get(name)) };
  }

  // Shards without rows have no digest; a digest with a dot in its name is of what GitHub alone is told.
  async readShards(id, digests, kept) {
    const isKept = (shard) => kept && kept.shards.has(shard) && kept.summary.digests[shard] === digests[shard];
    const read = (shard) => this.readSplit(id, `view.rows.${shard}`);
    const shards = Object.keys(digests).filter((shard) => !shard.includes("."));
    const found = shards.map(async (shard) => [shard, isKept(shard) ? kept.shards.get(shard) : await read(shard)]);
    return new Map(await Promise.all(found));
  }

  // Resolves to the entries of a value that is stored in parts: the first one says how many there are.
  async readSplit(id, key) {
    const first = await this.readStored(id, key);
    const count = first && Number.isInteger(first.parts) ? Math.min(first.parts, PARTS) : 1;
    const names = Array.from({ length: Math.max(count - 1, 0) }, (_, index) => `${key}.${index + 1}`);
    const rest = await Promise.all(names.map((name) => this.readStored(id, name)));
    return Object.values(Object.assign({}, ...[first, ...rest].map(unwrap)));
  }

  async readState(id, key) {
    return unwrap(await this.readStored(id, key));
  }

  async readStored(id, key) {
    try {
      return (await this.airflow.get(`/assets/${id}/state-store/${key}`)).value;
    } catch (error) {
      if (error instanceof AirflowError && error.kind === "missing") return null;
      throw error;
    }
  }

  // Resolves to an environment's newest deploys, the newest last; null where none were kept yet.
  readDeploys(project, slug) {
    return this.readState(this.fleets.get(project), `environment.${encodeURIComponent(slug)}.deploys`);
  }

  async readRuns(dags, projects) {
    const rows = projects.flatMap((project) => project.rows);
    const asked = new Set(rows.flatMap((row) => [row.dag, row.request_dag]).filter((dag) => dags.has(dag)));
    if (!asked.size) return [];
    const body = { dag_ids: [...asked], states: ["running", "queued"], page_limit: PAGE, order_by: "-run_after" };
    const runs = [];
    for (;;) {
      const answer = await this.airflow.post("/dags/~/dagRuns/list", { ...body, page_offset: runs.length });
      runs.push(...answer.dag_runs);
      if (!answer.dag_runs.length || runs.length >= answer.total_entries) return runs;
    }
  }

  // Resolves to {approvals, stuck}: what waits for an answer, and what has one and waits on. Airflow wakes a task when it
  // takes the answer; one that it took while the task was about to wait has woken nobody.
  async readQuestions(dags) {
    const details = await this.readAll("/dags/~/dagRuns/~/hitlDetails?state=awaiting_input", "hitl_details");
    const own = details.filter((detail) => dags.has(detail.task_instance.dag_id));
    const isAnswered = (detail) => Boolean(detail.response_received);
    return { approvals: own.filter((detail) => !isAnswered(detail)), stuck: own.filter(isAnswered) };
  }

  // False only where Airflow says that there is none; to whoever may not look, nothing is told.
  async hasPool() {
    try {
      await this.airflow.get(`/pools/${POOL}`);
      return true;
    } catch (error) {
      return !(error instanceof AirflowError && error.kind === "missing");
    }
  }

  async readAll(path, field) {
    const found = [];
    for (;;) {
      const answer = await this.airflow.get(`${path}&limit=${PAGE}&offset=${found.length}`);
      found.push(...answer[field]);
      if (!answer[field].length || found.length >= answer.total_entries) return found;
    }
  }

  // What this user may not read is said and left out; everything else that goes wrong ends the poll.
  async attempt(gaps, what, read) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof AirflowError) || error.kind !== "forbidden") throw error;
      gaps.push(what);
      return null;
    }
  }
}

// A value stands beside the version of its form; releases before 0.2.0 wrote the bare value.
function unwrap(stored) {
  return stored && Number.isInteger(stored.version) && "value" in stored ? stored.value : stored;
}

function listProjects(dags) {
  const dotted = [...dags.keys()].filter((id) => id.includes(".") && !INSTALLATION.has(id));
  return [...new Set(dotted.map((id) => id.slice(0, id.indexOf("."))))].sort();
}
