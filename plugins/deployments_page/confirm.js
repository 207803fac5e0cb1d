// The dialog that asks once before something is done, does it by Airflow's API, and says in words what went wrong.

import { bdi, el, reveal } from "./dom.js";

export class Confirmation {
  constructor(element) {
    this.element = element;
  }

  // `ask`: {title, name, words, label, isDangerous, send, done}; `send` resolves once Airflow did it, then `done` is called.
  open(ask) {
    const cancel = el("button", { type: "button", class: "button", onclick: () => this.element.close() }, "Cancel");
    const sure = el("button", { type: "submit", class: ask.isDangerous ? "button danger" : "button primary" }, ask.label);
    const message = el("p", { class: "message", role: "alert" });
    const form = el(
      "form",
      { method: "dialog", novalidate: true },
      el("h2", { id: "dialog-title" }, `${ask.title}: `, bdi(ask.name)),
      el("p", {}, ...ask.words),
      message,
      el("footer", { class: "foot" }, cancel, sure),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit(ask, sure, message);
    });
    this.element.replaceChildren(form);
    this.element.showModal();
    sure.focus();
    return form;
  }

  // What was asked for plainly enough, and is easily taken back, is sent at once; the dialog stays where that fails.
  send(ask) {
    this.open(ask).requestSubmit();
  }

  async submit(ask, sure, message) {
    if (sure.disabled) return;
    sure.disabled = true;
    message.classList.remove("bad");
    message.textContent = "Asking Airflow…";
    try {
      await ask.send();
    } catch (error) {
      sure.disabled = false;
      message.classList.add("bad");
      message.textContent = reveal(explain(error));
      return;
    }
    this.element.close();
    ask.done();
  }
}

function explain(error) {
  const words = {
    forbidden: "You may look at this, but not change it: Airflow refused. Ask whoever manages Airflow's users.",
    session: "Your session has ended. Log in to Airflow again, then repeat this.",
    missing: "Airflow has no such DAG or run any more, or you may not see it.",
    unreachable: "Airflow did not answer; whether it was done is unknown. This page shows it as soon as Airflow answers.",
    broken: `Airflow failed: ${error.message}. This page shows whether it was done.`,
    refused: `Airflow refused it: ${error.message}`,
  };
  return words[error.kind] || `This page failed: ${error.message}`;
}
