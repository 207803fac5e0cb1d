// What stands between the page and the truth: old data, paused or silent projects, lost sessions, what is left out.

import { bdi, el } from "./dom.js";
import { airflowLink, base } from "./frame.js";
import { count, tellDuration } from "./words.js";

const GRACE_S = 60;

// Returns [{key, tone, parts}] for a snapshot that was read.
export function listNotices(snapshot, { unseen }, now) {
  return [
    ...(snapshot.missingPool ? [tellPool(snapshot.missingPool)] : []),
    ...snapshot.projects.flatMap((project) => judgeProject(project, snapshot.dags, now)),
    ...(unseen.length ? [tellUnseen(unseen)] : []),
    ...snapshot.gaps.map((gap) => notice(`gap ${gap}`, "warn", `You may not read ${gap}, so it is not shown.`)),
  ];
}

function notice(key, tone, ...parts) {
  return { key, tone, parts };
}

function judgeProject({ name, summary, failure }, dags, now) {
  if (failure) return [tellUnread(name, summary, failure, now)];
  const id = `${name}.control`;
  const control = dags.get(id);
  const link = () => airflowLink(`/dags/${id}`, {}, id);
  if (control && control.isPaused) {
    const words = summary ? " is paused: nothing is planned, and this is how things were " : " is paused: nothing is shown of the project until it runs. Unpause it.";
    const age = summary ? `${tellDuration((now - Date.parse(summary.at)) / 1000)} ago.` : "";
    return [notice(`paused ${name}`, "warn", link(), words + age)];
  }
  if (!summary) return control ? [notice(`silent ${name}`, "info", bdi(name), " has nothing to show yet: ", link(), " has not finished a pass.")] : [];
  return [...judgeAge(name, summary, link, now), ...judgeMode(name, summary)];
}

function tellUnread(name, summary, { kind, message }, now) {
  const words = kind === "forbidden" ? ": you may not read its environments" : `: its environments cannot be read: ${message}`;
  const age = summary ? `. What you see of it is ${tellDuration((now - Date.parse(summary.at)) / 1000)} old.` : ". They are not shown.";
  return notice(`unread ${name}`, "warn", bdi(name), words, age);
}

function judgeAge(name, summary, link, now) {
  const seconds = (now - Date.parse(summary.at)) / 1000;
  if (seconds <= summary.resync_s + GRACE_S) return [];
  const words = `: its last finished pass was ${tellDuration(seconds)} ago, and one is due every ${tellDuration(summary.resync_s)}. Look at `;
  return [notice(`stale ${name}`, "warn", bdi(name), words, link(), ".")];
}

function judgeMode(name, summary) {
  if (summary.mode !== "plan") return [];
  return [notice(`mode ${name}`, "info", bdi(name), " is in plan mode: it shows what it would do, and writes nothing.")];
}

function tellPool(name) {
  const make = el("code", {}, `airflow pools set ${name} 3 "Astro CLI calls"`);
  return notice("pool", "bad", `Airflow has no pool ${name}: every run waits for ever before its first call of the Astro CLI. Create it: `, make);
}

function tellUnseen(unseen) {
  return notice("unseen", "info", `Left out are the environments of ${count(unseen.length, "DAG")} that you may not see, or that Airflow no longer has.`);
}

// Returns the notice of a reading that failed.
export function explainFailure(error, lastRead, now, retryMs) {
  const age = lastRead ? ` What you see is ${tellDuration((now - lastRead) / 1000)} old.` : "";
  const again = ` Trying again in ${tellDuration(retryMs / 1000)}.`;
  const login = el("a", { href: `${base}/`, "data-airflow-login": true }, "Log in again");
  if (error.kind === "session") return notice("failure", "bad", "Your session has ended.", age, " ", login, ".");
  if (error.kind === "forbidden") return notice("failure", "bad", `You may not see this: Airflow says “${error.message}”.`);
  if (error.kind === "unreachable") return notice("failure", "bad", `Airflow does not answer.${age}${again}`);
  return notice("failure", "bad", `Airflow failed: ${error.message}.${age}${again}`);
}

export class Notices {
  constructor(element) {
    this.element = element;
    this.told = "";
  }

  show(notices) {
    const made = notices.map(({ tone, parts }) => el("p", { class: `notice ${tone}` }, ...parts));
    const told = made.map((each) => each.className + each.textContent).join("\n");
    if (told === this.told) return;
    this.told = told;
    this.element.replaceChildren(...made);
  }
}
