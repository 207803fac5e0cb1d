// The health line: when GitHub and Astro were seen well, and whatever keeps what is shown from being so. Reads and judges.

import { AirflowError } from "./airflow.js";
import { bdi, el, moment } from "./dom.js";
import { airflowLink } from "./frame.js";
import { count, tellAge, tellDuration } from "./words.js";

const EVERY_MS = 15_000;
const LATE_MS = 120_000; // so much later than it said may the trigger look again
const PARTS = { scheduler: "scheduler", triggerer: "triggerer", dag_processor: "DAG processor" };
const LOST = {
  scheduler: "nothing starts",
  triggerer: "nothing is noticed on GitHub, and no deploy settles",
  dag_processor: "changed DAG files and policies are not read",
};

export class HealthReader {
  constructor(airflow, reader) {
    this.airflow = airflow;
    this.reader = reader;
    this.readAt = -Infinity;
    this.kept = { airflow: null, errors: null, projects: new Map() };
  }

  // Resolves to {airflow, errors, projects}: Airflow's own health, import errors of ours (null: not to be read), and by
  // project {sights, failing}. What fails here fails alone: what was read of it last stays.
  async read({ projects }) {
    if (performance.now() - this.readAt < EVERY_MS) return this.kept;
    this.readAt = performance.now();
    const [airflow, errors, ...states] = await Promise.all([
      this.attempt(() => this.airflow.get("/monitor/health"), this.kept.airflow),
      this.attempt(() => this.readErrors(), null),
      ...projects.map(({ name }) => this.attempt(() => this.readProject(name), this.kept.projects.get(name) || null)),
    ]);
    this.kept = { airflow, errors, projects: new Map(projects.map(({ name }, at) => [name, states[at]])) };
    return this.kept;
  }

  async readErrors() {
    const errors = await this.reader.readAll("/importErrors?order_by=filename", "import_errors");
    return errors.filter(isOurs).map(({ filename, stack_trace: trace }) => ({ filename, problems: tellProblems(trace) }));
  }

  async readProject(name) {
    const { fleets, repositories } = this.reader;
    const read = (id, key) => (id === undefined ? null : this.reader.readState(id, key));
    const [sights, failing] = await Promise.all([read(repositories.get(name), "health"), read(fleets.get(name), "control.failing")]);
    const known = Object.entries(isObject(sights) ? sights : {}).filter(([, sight]) => isObject(sight) && isTime(sight.looked_at));
    return {
      sights: Object.fromEntries(known.map(([service, sight]) => [service, dropNoTimes(sight)])),
      failing: isObject(failing) && failing.said ? failing : null,
    };
  }

  async attempt(read, otherwise) {
    try {
      return await read();
    } catch (error) {
      if (!(error instanceof AirflowError)) throw error;
      return otherwise;
    }
  }
}

function isObject(value) {
  return value !== null && typeof value === "object";
}

function isTime(text) {
  return !Number.isNaN(Date.parse(text));
}

// Whoever may write assets may write this: what is no time counts as none.
function dropNoTimes(sight) {
  return { ...sight, ...Object.fromEntries(["well_at", "next_at"].map((name) => [name, isTime(sight[name]) ? sight[name] : null])) };
}

function isOurs({ filename, stack_trace: trace }) {
  return /deploy_ops|policy_errors\.py$/.test(`${trace}\n${filename}`);
}

// The policy's own lines, one problem each; of any other error the last line, which names it.
function tellProblems(trace) {
  const lines = trace.split("\n").map((line) => line.trim()).filter(Boolean);
  const at = lines.findLastIndex((line) => /\bPolicyError: /.test(line));
  if (at < 0) return lines.slice(-1).map((text) => ({ isPolicy: false, text }));
  return lines.slice(at).map((line) => ({ isPolicy: true, text: line.replace(/^.*?\bPolicyError: /, "") }));
}

// Where a problem lies: the file and the key, without what is wrong there. A file's folders above ours tell nothing.
export function tellPlace(text) {
  const shown = text.replace(/^\S*\/(?=include\/)/, "");
  const [file, key] = shown.split(": ");
  return key === undefined ? file : `${file}: ${key}`;
}

// Returns {isWell, headline, problems}: both are [[text or element]], the headline's parts and the problems.
export function judgeHealth(snapshot, health, now) {
  const problems = [
    ...judgeAirflow(health.airflow, now),
    ...judgeErrors(health.errors || []),
    ...snapshot.projects.flatMap((project) => judgeProject(project, health.projects.get(project.name), snapshot.dags, now)),
  ];
  const parts = [
    ...["GitHub", "Astro"].map((service) => tellSeen(service, health.projects, now)),
    health.airflow && !problems.some(({ isAirflow }) => isAirflow) ? ["Airflow is healthy"] : null,
    health.errors === null ? ["import errors are not shown to you"] : null,
  ];
  return { isWell: problems.every(({ isCalm }) => isCalm), headline: parts.filter(Boolean), problems };
}

function problem(...parts) {
  return { parts };
}

function judgeAirflow(airflow, now) {
  if (!airflow) return [];
  const parts = Object.entries(PARTS).filter(([name]) => airflow[name] && airflow[name].status !== "healthy" && !isOptional(name, airflow[name]));
  const told = parts.map(([name, label]) => {
    const beat = airflow[name][`latest_${name}_heartbeat`];
    const last = beat ? ["its last heartbeat was ", moment(beat, tellAge, now)] : ["none was ever seen"];
    return { isAirflow: true, ...problem(`Airflow's ${label} is not healthy: `, ...last, `; meanwhile ${LOST[name]}.`) };
  });
  const isLost = airflow.metadatabase && airflow.metadatabase.status !== "healthy";
  return isLost ? [{ isAirflow: true, ...problem("Airflow's database is not healthy.") }, ...told] : told;
}

// A DAG processor without a heartbeat of its own may run within the scheduler.
function isOptional(name, { status }) {
  return name === "dag_processor" && status === null;
}

function judgeErrors(errors) {
  const told = errors.flatMap(({ filename, problems }) => problems.map((each) => ({ filename, ...each })));
  return told.map(({ filename, isPolicy, text }) =>
    isPolicy ? problem("The policy has an error at ", bdi(tellPlace(text)), "; DAGs of its project may be gone.") : problem(bdi(filename), " cannot be read: ", bdi(text)),
  );
}

function judgeProject({ name, summary }, state, dags, now) {
  const control = dags.get(`${name}.control`);
  const isRunning = control && !control.isPaused;
  const sights = Object.entries((state && state.sights) || {});
  const failing = sights.filter(([, sight]) => sight.said);
  return [
    ...failing.map(([, sight]) => problem(bdi(`${name}: ${sight.said}`), ...tellWell(sight, now))),
    ...(isRunning ? sights.filter(([, sight]) => isLate(sight, now)).map(([service, sight]) => tellLate(name, service, sight, now)) : []),
    ...(isRunning && state && state.failing ? [problem(bdi(String(state.failing.said)))] : []),
    ...judgeDags(name, (summary && summary.dags) || [], dags),
  ];
}

function tellWell(sight, now) {
  return sight.well_at ? [" (last seen well ", moment(sight.well_at, tellAge, now), ")"] : [" (never seen well)"];
}

function isLate(sight, now) {
  return now - Date.parse(sight.next_at || sight.looked_at) > LATE_MS;
}

function tellLate(name, service, sight, now) {
  const age = tellDuration((now - Date.parse(sight.looked_at)) / 1000);
  return problem(bdi(name), `: nobody has looked at ${service} for ${age}; look at Airflow's triggerer.`);
}

function judgeDags(name, wanted, dags) {
  const missing = wanted.filter((id) => !dags.has(id)).length;
  const paused = [...dags].filter(([id, { isPaused }]) => isPaused && id.startsWith(`${name}.`) && id !== `${name}.control`).map(([id]) => id);
  const links = paused.flatMap((id, at) => [at ? ", " : "", airflowLink(`/dags/${id}`, {}, id)]);
  return [
    ...(missing ? [{ isCalm: true, ...problem(bdi(name), `: ${count(missing, "DAG")} of the policy's ${wanted.length} missing, or not to be seen by you.`) }] : []),
    ...(paused.length ? [{ isCalm: true, ...problem("Paused: ", ...links, ".") }] : []),
  ];
}

// Of several projects the one that saw the service well the longest ago tells.
function tellSeen(service, projects, now) {
  const sights = [...projects.values()].map((state) => state && state.sights[service]).filter(Boolean);
  if (!sights.length) return null;
  const times = sights.map(({ well_at: at }) => at).sort();
  if (!times[0]) return [`${service} was never seen well`];
  return [`${service} seen well `, moment(times[0], tellAge, now)];
}

export class HealthLine {
  constructor(element) {
    this.element = element;
    this.told = "";
  }

  show({ isWell, headline, problems }) {
    const words = isWell ? "Healthy" : count(problems.filter(({ isCalm }) => !isCalm).length, "problem");
    const parts = headline.flatMap((each) => [" · ", ...each]);
    const line = el("p", { class: "line" }, el("strong", {}, words), ...parts);
    const list = problems.length ? el("ul", {}, ...problems.map(({ parts: told }) => el("li", {}, ...told))) : null;
    const made = [line, list].filter(Boolean);
    const told = made.map((each) => each.textContent).join("\n");
    this.element.classList.toggle("sick", !isWell);
    if (told === this.told) return;
    this.told = told;
    this.element.replaceChildren(...made);
  }
}
