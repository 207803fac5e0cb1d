// The view that tells who approved what, and when: a quarter of it as a table, and the same as a file.

import { AirflowError } from "./airflow.js";
import { boundQuarter, listQuarters, nameQuarter, readApprovals } from "./approval_records.js";
import { makeCsv, saveFile } from "./csv.js";
import { bdi, el } from "./dom.js";
import { airflowLink, runPath } from "./frame.js";
import { count, shorten } from "./words.js";

const QUARTERS = 12;

// Column by column of the file: its heading, and what it holds.
const COLUMNS = [
  ["Answered at (UTC)", ({ at }) => at],
  ["Answer", ({ answer }) => answer],
  ["Counts", ({ counts }) => counts],
  ["By", ({ who }) => who],
  ["By (user id)", ({ whoId }) => whoId],
  ["Project", ({ project }) => project],
  ["Environment", ({ environment }) => environment],
  ["Question", ({ subject }) => subject],
  ["Commit or ref", ({ commit }) => commit],
  ["Comment", ({ comment }) => comment],
  ["Asked by", ({ askedBy }) => askedBy],
  ["Reason", ({ reason }) => reason],
  ["Asked at (UTC)", ({ asked }) => asked],
  ["DAG", ({ dag }) => dag],
  ["Run", ({ run }) => run],
  ["Run is", ({ runState }) => runState],
];

export class Approvals {
  // `onChange` gets what the address shall say.
  constructor(element, airflow, onChange) {
    this.airflow = airflow;
    this.onChange = onChange;
    this.shown = ""; // what the table shows, or is about to
    this.records = [];
    this.quarter = el("select", { id: "quarter", onchange: () => onChange({ quarter: this.quarter.value }) });
    this.save = el("button", { type: "button", class: "button", disabled: true, onclick: () => this.saveRecords() }, "Save as CSV");
    this.told = el("p", { role: "status", class: "faint" });
    this.body = el("div", { class: "approvals-table" });
    const again = el("button", { type: "button", class: "button", onclick: () => this.readAgain() }, "Read again");
    element.append(
      el("h2", {}, "Who approved what, and when"),
      el("p", { class: "answers-bar" }, el("label", {}, "Quarter ", this.quarter), again, this.save),
      this.told,
      this.body,
    );
  }

  // Shows a quarter of the answers to the questions of `dags`; what is shown already is not read again.
  show(name, dags) {
    const quarter = boundQuarter(name) ? name : nameQuarter(this.airflow.now());
    const names = [...new Set([...listQuarters(this.airflow.now(), QUARTERS), quarter])];
    if (this.quarter.options.length !== names.length) this.quarter.replaceChildren(...names.map((each) => el("option", { value: each }, each.replace("-", " "))));
    this.quarter.value = quarter;
    this.dags = dags;
    const wanted = `${quarter} ${[...dags].sort().join()}`;
    if (wanted === this.shown) return;
    this.shown = wanted;
    this.read(quarter, wanted);
  }

  readAgain() {
    this.shown = "";
    this.show(this.quarter.value, this.dags);
  }

  async read(quarter, wanted) {
    this.save.disabled = true;
    this.told.textContent = "Reading Airflow's records…";
    try {
      const { records, isCut } = await readApprovals(this.airflow, this.dags, quarter);
      if (this.shown === wanted) this.fill(records, isCut);
    } catch (error) {
      if (!(error instanceof AirflowError)) throw error;
      if (this.shown !== wanted) return;
      this.fill([], false);
      this.told.textContent = error.kind === "forbidden" ? "You may not read who answered what: Airflow refused it." : `Airflow's records cannot be read: ${error.message}`;
    }
  }

  fill(records, isCut) {
    this.records = records;
    this.save.disabled = !records.length;
    const cut = isCut ? " There are more: the oldest are left out." : "";
    const told = records.length ? `${count(records.length, "answer")}, the newest first.${cut}` : `Nobody answered anything in this quarter.${cut}`;
    this.told.textContent = `${told} Of a question that was asked again, the last answer stands here.`;
    this.body.replaceChildren(...(records.length ? [makeTable(records)] : []));
  }

  saveRecords() {
    const rows = [COLUMNS.map(([title]) => title), ...this.records.map((record) => COLUMNS.map(([, read]) => read(record)))];
    saveFile(`approvals-${this.quarter.value}.csv`, makeCsv(rows), "text/csv;charset=utf-8");
  }
}

const TITLES = ["When", "Answer", "By", "Environment", "Question", "Asked by", "Run"];

function makeTable(records) {
  const head = el("tr", {}, ...TITLES.map((title) => el("th", { scope: "col" }, title)));
  return el("table", { class: "answers", "aria-label": "Answers" }, el("thead", {}, head), el("tbody", {}, ...records.map(makeRow)));
}

function makeRow(record) {
  const { at, answer, counts, who, project, environment, subject, commit, comment, askedBy, reason, dag, run, runState } = record;
  const tone = { Approved: "good", Rejected: "bad" }[answer] || "calm";
  const note = counts === "yes" ? null : el("p", { class: "faint" }, counts === "no" ? "does not count" : "is being weighed");
  const cells = [
    [el("time", { datetime: at }, new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" }))],
    [el("span", { class: `badge ${tone}` }, answer), note],
    [bdi(who || "nobody")],
    [bdi(environment), el("p", { class: "faint" }, bdi(project))],
    [bdi(subject), commit ? el("p", { class: "faint" }, bdi(`at ${/^[0-9a-f]{40}$/.test(commit) ? shorten(commit) : commit}`)) : null, comment ? el("p", { class: "faint" }, bdi(`“${comment}”`)) : null],
    [bdi(askedBy), reason ? el("p", { class: "faint" }, bdi(reason)) : null],
    [airflowLink(runPath(dag, run), { "aria-label": `Run ${run} of ${dag}` }, "Run"), runState ? el("p", { class: "faint" }, runState) : null],
  ];
  return el("tr", {}, ...cells.map((parts, at) => el("td", { "data-title": TITLES[at] }, ...parts)));
}
