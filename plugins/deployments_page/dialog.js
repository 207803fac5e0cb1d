// The dialog of an action: its fields, the run that it asks Airflow for, and in words what Airflow says to that.

import { makeConf } from "./actions.js";
import { approvalLink } from "./cells.js";
import { bdi, el, reveal } from "./dom.js";
import { airflowLink, runPath } from "./frame.js";

export class ActionDialog {
  constructor(element, airflow, onStarted) {
    this.element = element;
    this.airflow = airflow;
    this.onStarted = onStarted;
    this.started = null; // {run, question}: what was started last, and where its question goes
  }

  // `entered` is what is filled in already, by the fields' names.
  open(action, environment, entered = {}) {
    const form = el("form", { method: "dialog", novalidate: true }, ...makeBody(action, environment), this.makeFoot(action));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(form, action, environment);
    });
    for (const [name, value] of Object.entries(entered)) form.elements[name].value = value;
    this.element.close(); // it may show the environment
    this.element.replaceChildren(form);
    this.element.showModal();
    (form.querySelector("input[required]") || form.querySelector("select, input, button")).focus();
  }

  makeFoot(action) {
    const cancel = el("button", { type: "button", class: "button", onclick: () => this.element.close() }, "Cancel");
    const look = action.isDangerous ? "button danger" : "button primary";
    return el("footer", { class: "foot" }, cancel, el("button", { type: "submit", class: look }, action.label.replace("…", "")));
  }

  async submit(form, action, environment) {
    const wrong = findWrong(form, action);
    if (wrong) return;
    const button = form.querySelector("[type=submit]");
    if (button.disabled) return;
    button.disabled = true;
    tell(form, "Asking Airflow…");
    try {
      const body = { logical_date: null, conf: makeConf(action, readFields(form, action)) };
      const run = await this.airflow.post(`/dags/${encodeURIComponent(action.dag)}/dagRuns`, body);
      this.succeed(action, environment, run);
    } catch (error) {
      button.disabled = false;
      tell(form, explain(error, action), true);
    }
  }

  succeed(action, environment, run) {
    const link = airflowLink(runPath(run.dag_id, run.dag_run_id), { class: "run" }, run.dag_run_id);
    const close = el("button", { type: "button", class: "button primary", onclick: () => this.element.close() }, "Close");
    this.started = { run, question: el("p", { role: "status" }) };
    this.element.replaceChildren(
      makeTitle(action, environment),
      el("p", { role: "status" }, "Airflow started the run ", link),
      el("p", { class: "faint" }, `It is a run of ${run.dag_id}; this page shows how it goes.`),
      this.started.question,
      el("footer", { class: "foot" }, close),
    );
    close.focus();
    this.onStarted();
  }

  // As soon as the run that was just started asks, its question is one click away.
  follow(approvals) {
    if (!this.started || this.started.question.firstChild) return;
    const { run, question } = this.started;
    const asks = ({ task_instance: task }) => task.dag_id === run.dag_id && task.dag_run_id === run.dag_run_id;
    const asked = (approvals || []).find(asks);
    if (asked) question.append("It asks: ", approvalLink(asked, {}, bdi(asked.subject || "Open the question")));
  }
}

function makeTitle(action, environment) {
  return el("h2", { id: "dialog-title" }, `${action.title}: `, bdi(environment.name));
}

function makeBody(action, environment) {
  const target = el("p", { class: "faint" }, `Starts a run of ${action.dag}`);
  const message = el("p", { class: "message", role: "alert" });
  return [makeTitle(action, environment), el("p", {}, action.words), ...action.fields.map(makeField), message, target];
}

function makeField(field) {
  const id = `field-${field.name}`;
  const hint = field.hint && el("span", { class: "hint", id: `${id}-hint` }, bdi(field.hint));
  const told = `${field.hint ? `${id}-hint ` : ""}${id}-wrong`;
  const input = makeInput(field, { id, name: field.name, "aria-describedby": told });
  const label = el("label", { for: id }, field.label, field.isRequired ? el("span", { class: "faint" }, " required") : null);
  const list = field.suggestions && el("datalist", { id: `${id}-list` }, ...field.suggestions.map((value) => el("option", { value })));
  const parts = field.kind === "switch" ? [el("span", { class: "switch" }, input, label), hint] : [label, input, list, hint];
  return el("div", { class: "field" }, ...parts, el("span", { class: "wrong", id: `${id}-wrong` }));
}

function makeInput(field, attributes) {
  if (field.kind === "switch") return el("input", { ...attributes, type: "checkbox", checked: field.value });
  const help = field.suggestions ? { list: `${attributes.id}-list` } : { autocomplete: "off" };
  if (field.kind === "text") return el("input", { ...attributes, ...help, type: "text", required: field.isRequired });
  const options = field.options.map(([value, label]) => el("option", { value, selected: value === field.value }, label));
  return el("select", attributes, ...options);
}

function readFields(form, action) {
  const read = ({ name, kind }) => {
    const input = form.elements[name];
    return [name, kind === "switch" ? input.checked : input.value.trim()];
  };
  return Object.fromEntries(action.fields.map(read));
}

// Says at each field what is wrong with it, and returns the first wrong one, which gets the focus.
function findWrong(form, action) {
  const entered = readFields(form, action);
  let first = null;
  for (const field of action.fields) {
    const words = judge(field, entered[field.name]);
    const input = form.elements[field.name];
    form.querySelector(`#field-${field.name}-wrong`).textContent = reveal(words);
    input.setAttribute("aria-invalid", String(Boolean(words)));
    if (words && !first) first = input;
  }
  if (first) first.focus();
  return first;
}

function judge(field, value) {
  if (field.mustEqual && value !== field.mustEqual) return `Type exactly ${field.mustEqual}`;
  return field.isRequired && !value ? `Say ${field.name === "reason" ? "why, for those who read the deploy" : "it"}` : "";
}

function tell(form, words, isWrong = false) {
  const message = form.querySelector(".message");
  message.textContent = reveal(words);
  message.classList.toggle("bad", isWrong);
}

function explain(error, action) {
  const words = {
    forbidden: `You may look at ${action.dag}, but not start its runs: Airflow refused it. Ask whoever manages Airflow's users for the permission to trigger that DAG.`,
    session: "Your session has ended. Log in to Airflow again, then repeat this.",
    missing: `Airflow has no DAG ${action.dag} any more, or you may not see it.`,
    unreachable: "Airflow did not answer; whether the run was started is unknown. Look at the DAG's runs before you repeat this.",
    broken: `Airflow failed: ${error.message}. Look at the DAG's runs before you repeat this.`,
    refused: `Airflow refused the form: ${error.message}`,
  };
  return words[error.kind] || `This page failed: ${error.message}`;
}
