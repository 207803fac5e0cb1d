// "Needs you": what only a person ends, each thing once, with the button that ends it.

import { listActions } from "./actions.js";
import { approvalLink, commitLink } from "./cells.js";
import { bdi, el } from "./dom.js";
import { airflowLink } from "./frame.js";
import { nameRetry, retry, unfreeze } from "./remedies.js";
import { count, tellStuck } from "./words.js";

const SHOWN = 6;
const NAMES = 3;
const BUSY = new Set(["deploying", "ended", "approval", "removed"]);
const FORMS = { resume: "Resume", adopt: "Adopt", delete: "Delete" };

// Returns [{key, project, kind, names, text, environment, need, ask, dag}], the most urgent first.
export function listNeeds(snapshot, { environments, strays, stuckStrays }, errors) {
  return [
    ...environments.filter((each) => each.approval).map(needAnswer),
    ...strays.map(needStray),
    ...environments.filter((each) => each.stuck).map((each) => needAnother(each.stuck, each.name, each)),
    ...stuckStrays.map((each) => needAnother(each, each.task_instance.dag_id, null)),
    ...needMending(environments),
    ...(errors || []).flatMap(({ problems }) => problems.filter(({ isPolicy }) => isPolicy).map(needPolicy)),
    ...needThaw(environments, snapshot.dags),
  ];
}

function needAnswer(environment) {
  const { id, name, approval, why } = environment;
  return { kind: "answer", key: `answer ${id} ${approval.task_instance.dag_run_id}`, names: [name], text: why, environment, approval };
}

function needStray(approval) {
  const { dag_id: dag, dag_run_id: run } = approval.task_instance;
  return { kind: "answer", key: `answer ${dag} ${run}`, names: [dag], text: approval.subject || run, approval };
}

// An answer that woke nobody is lost with the run that is cleared: only who gave it can give it again.
function needAnother(stuck, name, environment) {
  const { dag_id: dag, dag_run_id: run } = stuck.task_instance;
  const need = { what: "request", dag, run_id: run };
  return { kind: "retry", key: `again ${dag} ${run}`, names: [name], text: tellStuck(stuck), environment, need };
}

// One template breaks every preview alike: what is to be mended elsewhere stands once, beside the names of all.
function needMending(environments) {
  const found = new Map();
  for (const environment of environments) {
    if (BUSY.has(environment.state)) continue;
    for (const need of environment.row.needs || []) {
      const kind = need.remedy || "mend";
      const key = `${kind} ${kind === "mend" ? environment.project : environment.id} ${need.run_id || ""} ${need.why}`;
      if (found.has(key)) found.get(key).names.push(environment.name);
      else found.set(key, { kind, key, names: [environment.name], text: need.why, environment, need });
    }
  }
  const urgency = ["retry", "resume", "adopt", "delete", "mend"];
  return [...found.values()].sort((a, b) => urgency.indexOf(a.kind) - urgency.indexOf(b.kind));
}

function needPolicy({ text }) {
  return { kind: "policy", key: `policy ${text}`, names: ["The policy"], text: text.replace(/^\S*\/(?=include\/)/, "") };
}

function needThaw(environments, dags) {
  const frozen = new Map();
  for (const { row, name } of environments)
    for (const dag of [row.dag, row.request_dag]) if (dag && dags.has(dag) && dags.get(dag).isPaused) frozen.set(dag, [...(frozen.get(dag) || []), name]);
  return [...frozen].map(([dag, names]) => ({ kind: "thaw", key: `thaw ${dag}`, names, text: `frozen: ${dag} is paused`, dag }));
}

// What helps stands first, whatever stands around it.
export function leadWithAdvice(text) {
  const advice = /did you mean '[^']*'\?/.exec(text);
  return advice ? [advice[0], text] : ["", text];
}

export class Needs {
  // `given`: {airflow, confirm, openForm, openDetails, look}.
  constructor(element, given) {
    Object.assign(this, given);
    this.element = element;
    this.isOpen = false;
    this.told = null;
    this.done = new Map(); // key → when it was asked
  }

  show(needs, projects) {
    this.last = [needs, projects];
    this.forget(projects);
    const told = JSON.stringify([this.isOpen, [...this.done.keys()], needs.map(({ key, names, text }) => [key, names, text])]);
    if (told === this.told) return;
    this.told = told;
    const hadFocus = this.element.contains(document.activeElement);
    const at = [...this.element.querySelectorAll("a, button")].indexOf(document.activeElement);
    const shown = this.isOpen ? needs : needs.slice(0, SHOWN);
    const items = shown.map((need) => this.makeItem(need));
    const title = el("h2", { id: "needs-title", tabindex: -1 }, "Needs you");
    const none = el("p", { class: "faint" }, "Nothing waits for a person");
    this.element.classList.toggle("idle", !needs.length);
    this.element.replaceChildren(title, needs.length ? el("ul", {}, ...items) : none, ...this.makeMore(needs));
    const buttons = this.element.querySelectorAll("a, button");
    if (hadFocus) ((at >= 0 && (buttons[at] || buttons[0])) || title).focus();
  }

  // A pass that began after something was asked has seen what became of it.
  forget(projects) {
    const oldest = Math.min(...projects.filter(({ summary }) => summary).map(({ summary }) => Date.parse(summary.at)));
    for (const [key, at] of this.done) if (oldest > at) this.done.delete(key);
  }

  makeMore(needs) {
    if (needs.length <= SHOWN) return [];
    const label = this.isOpen ? "Show fewer" : `and ${needs.length - SHOWN} more`;
    return [el("button", { type: "button", class: "link", onclick: () => this.toggle() }, label)];
  }

  toggle() {
    this.isOpen = !this.isOpen;
    this.show(...this.last);
  }

  makeItem(need) {
    const more = need.names.length - NAMES;
    const names = need.names.slice(0, NAMES).flatMap((name, at) => [at ? ", " : "", bdi(name)]);
    const who = el("span", { class: "strong" }, ...names, more > 0 ? ` and ${count(more, "other")}` : "");
    const [advice, text] = leadWithAdvice(need.text);
    const words = el("p", { class: "words" }, advice ? el("strong", { class: "advice" }, bdi(advice), " ") : "", bdi(text));
    return el("li", { class: `need ${need.kind}` }, el("div", { class: "lines" }, el("p", {}, who, ...this.makeHead(need)), words), this.makeButton(need));
  }

  makeHead({ environment, names }) {
    const { row, repository } = environment || { row: {} };
    return row.head && names.length === 1 ? [" ", commitLink(repository, row.head)] : [];
  }

  makeButton(need) {
    const name = need.names[0];
    if (this.done.has(need.key)) return el("span", { class: "faint" }, "Asked; control looks again soon");
    if (need.kind === "answer") return approvalLink(need.approval, { class: "button", "aria-label": `Open the question of ${name}` }, "Open the question");
    if (need.kind === "policy") return airflowLink("/dags", { class: "button" }, "Import errors");
    if (need.kind === "thaw") return makeButton("Unfreeze", need.dag, () => this.ask(need, unfreeze(this.airflow, need.dag, need.names.join(", "))));
    if (need.kind === "retry") return makeButton(nameRetry(need.need.what), name, () => this.ask(need, retry(this.airflow, need.environment || { name }, need.need)));
    const form = FORMS[need.kind] && listActions(need.environment).find(({ id }) => id === need.kind);
    if (form) return makeButton(FORMS[need.kind], name, () => this.openForm(form, need.environment));
    return makeButton("Details", name, () => this.openDetails(need.environment));
  }

  ask(need, ask) {
    this.confirm.open({ ...ask, done: () => this.note(need) });
  }

  note(need) {
    this.done.set(need.key, this.airflow.now());
    this.show(...this.last);
    this.look();
  }
}

function makeButton(label, name, onclick) {
  return el("button", { type: "button", class: "button", "aria-label": `${label} ${name}`, onclick }, label);
}
