// Starts the page, and brings together what is read, what is asked, and what is shown.

import { listActions } from "./actions.js";
import { Airflow, AirflowError } from "./airflow.js";
import { Approvals } from "./approvals.js";
import { openDetails } from "./details.js";
import { Confirmation } from "./confirm.js";
import { makeCosts } from "./costs.js";
import { ActionDialog } from "./dialog.js";
import { Doctor, listLines } from "./doctor.js";
import { el, refreshTimes, reveal } from "./dom.js";
import { listBranches, makeEnvironments } from "./environments.js";
import { ExaminationReader } from "./examinations.js";
import { Filters } from "./filters.js";
import { airflowUI, base, followTheme, leaveByLinks, readAddress, reloadAirflow, writeAddress } from "./frame.js";
import { Glance } from "./glance.js";
import { makeHistory } from "./history.js";
import { HealthLine, HealthReader, judgeHealth } from "./health.js";
import { Menu } from "./menu.js";
import { listNeeds, Needs } from "./needs.js";
import { explainFailure, listNotices, Notices } from "./notices.js";
import { Poller } from "./poller.js";
import { formatQuery, isFiltered, makeFilter, parseQuery, sortEnvironments } from "./query.js";
import { offerFreezing } from "./remedies.js";
import { SnapshotReader } from "./snapshot.js";
import { Table } from "./table.js";
import { count, tellDuration, tellState } from "./words.js";

const TICK_MS = 2000;
const ME = "deploy-ops.author"; // in the browser's storage: which author its user is
const byId = (id) => document.getElementById(id);

class Page {
  constructor() {
    this.airflow = new Airflow(base);
    this.reader = new SnapshotReader(this.airflow);
    this.query = parseQuery(readAddress());
    this.found = { environments: [], strays: [], stuckStrays: [], unseen: [] };
    this.snapshot = null;
    this.lastRead = 0;
    this.me = [];
    this.table = new Table(byId("columns"), byId("environments"), (column) => this.sortBy(column));
    this.filters = new Filters(document, (change) => this.ask(change));
    this.glance = new Glance(byId("glance"), (state) => this.ask({ state }));
    this.notices = new Notices(byId("notices"));
    this.healthReader = new HealthReader(this.airflow, this.reader);
    this.healthLine = new HealthLine(byId("health"));
    this.health = null;
    this.examinationReader = new ExaminationReader(this.airflow, this.reader);
    this.examinations = null;
    this.doctor = new Doctor(byId("doctor"));
    this.isWell = true;
    this.menu = new Menu(byId("menu"));
    this.dialog = new ActionDialog(byId("dialog"), this.airflow, () => this.poller.start());
    this.approvals = new Approvals(byId("approvals"), this.airflow, (change) => this.ask(change));
    this.poller = new Poller(() => this.read());
    this.confirm = new Confirmation(byId("dialog"));
    this.needs = new Needs(byId("needs"), {
      airflow: this.airflow,
      confirm: this.confirm,
      openForm: (action, environment) => this.dialog.open(action, environment),
      openDetails: (environment) => this.openDetails(environment),
      look: () => this.poller.start(),
    });
  }

  start() {
    followTheme();
    leaveByLinks();
    this.ask({});
    byId("environments").addEventListener("click", (event) => this.click(event));
    byId("notices").addEventListener("click", logIn);
    byId("view").addEventListener("click", () => this.ask({ view: this.query.view ? "" : "approvals" }));
    setInterval(() => this.tick(), TICK_MS);
    this.learnName();
    this.poller.start();
  }

  async learnName() {
    const kept = localStorage.getItem(ME);
    const { name } = await this.airflow.send("GET", "/deploy-ops/me").catch(() => ({ name: "" }));
    this.me = [kept || name].filter(Boolean).map((each) => each.toLowerCase());
    this.show();
  }

  // One reading; resolves to whether it was done.
  async read() {
    try {
      const snapshot = await this.reader.read();
      [this.health, this.examinations] = await Promise.all([this.healthReader.read(snapshot), this.examinationReader.read(snapshot)]);
      this.snapshot = snapshot;
    } catch (error) {
      this.fail(error);
      return false;
    }
    const start = performance.now();
    this.lastRead = this.airflow.now();
    this.failure = null;
    const before = this.found.environments;
    this.found = makeEnvironments(this.snapshot, this.lastRead);
    this.found.environments = sortEnvironments(this.found.environments, this.query.sort);
    this.show();
    this.announce(before);
    measureShown(start);
    return true;
  }

  fail(error) {
    if (!(error instanceof AirflowError)) console.error(error);
    this.failure = error;
    this.retryMs = this.poller.delay(this.poller.failures + 1);
    this.showNotices();
    if (!this.snapshot) this.showEmpty(0);
    this.tick();
  }

  ask(change) {
    const isResorted = "sort" in change && change.sort !== this.query.sort;
    this.query = { ...this.query, ...change };
    writeAddress(formatQuery(this.query));
    if (isResorted) this.found.environments = sortEnvironments(this.found.environments, this.query.sort);
    this.filters.showQuery(this.query);
    this.showView();
    this.table.markSort(this.query.sort);
    if (isResorted) this.table.order(this.found.environments);
    if (this.snapshot) this.showFiltered();
  }

  showView() {
    const isApprovals = this.query.view === "approvals";
    byId("fleet").hidden = isApprovals;
    byId("approvals").hidden = !isApprovals;
    byId("view").textContent = isApprovals ? "Environments" : "Approvals";
    if (isApprovals && this.snapshot) this.approvals.show(this.query.quarter, new Set(this.snapshot.dags.keys()));
  }

  sortBy(column) {
    const next = { [column]: `-${column}`, [`-${column}`]: "" };
    this.ask({ sort: next[this.query.sort] ?? column });
  }

  show() {
    if (!this.snapshot) return;
    const now = this.airflow.now();
    const { environments } = this.found;
    this.showView();
    this.table.show(environments, now);
    this.glance.show(environments, now);
    this.needs.show(listNeeds(this.snapshot, this.found, this.health.errors), this.snapshot.projects);
    this.doctor.show(listLines(this.snapshot, this.health, this.examinations), now);
    byId("doctor").hidden = false;
    this.dialog.follow(this.snapshot.approvals);
    this.filters.showProjects(this.snapshot.projects.map(({ name }) => name), this.query);
    this.showFiltered();
    this.showNotices();
    this.tick();
  }

  showFiltered() {
    const { environments } = this.found;
    this.filters.showCounts(environments, this.query, makeFilter({ ...this.query, state: "" }, this.me));
    const shown = this.table.filter(environments, makeFilter(this.query, this.me));
    const all = count(environments.length, "environment");
    byId("shown").textContent = isFiltered(this.query) ? `${shown.toLocaleString("en")} of ${all}` : all;
    const costs = makeCosts(this.snapshot.projects);
    byId("costs").replaceChildren(...costs);
    byId("costs").hidden = !costs.length;
    this.showEmpty(shown);
  }

  showNotices() {
    const now = this.airflow.now();
    if (this.snapshot) this.showHealth(now);
    const told = this.snapshot ? listNotices(this.snapshot, this.found, now) : [];
    const failed = this.failure ? [explainFailure(this.failure, this.lastRead, now, this.retryMs)] : [];
    this.notices.show([...failed, ...told]);
  }

  showHealth(now) {
    const judged = judgeHealth(this.snapshot, this.health, now);
    this.isWell = judged.isWell;
    this.healthLine.show(judged);
  }

  showEmpty(shown) {
    const empty = byId("empty");
    empty.hidden = shown > 0 || !this.snapshot;
    for (const id of ["table", "skip"]) byId(id).hidden = shown === 0;
    document.body.classList.toggle("bare", this.snapshot !== null && !this.found.environments.length);
    if (!empty.hidden) empty.replaceChildren(...this.explainEmpty());
  }

  explainEmpty() {
    if (!this.snapshot.projects.length)
      return [el("h2", {}, "No project yet"), el("p", {}, "Airflow has no DAG of Deploy Ops that you may see. Name a project in include/deploy_ops.yaml, deploy, and unpause its DAGs.")];
    if (!this.found.environments.length)
      return [el("h2", {}, "No environment yet"), el("p", {}, "Push a branch that matches the policy's patterns, and its preview appears here. Targets appear once control has made a pass.")];
    if (this.query.mine) return [el("h2", {}, "None of them is yours"), this.makeMe()];
    return [el("h2", {}, "Nothing matches"), el("p", {}, "Clear the filters to see all environments.")];
  }

  // Git's authors are not Airflow's users, so people say once which author they are.
  makeMe() {
    const authors = [...new Set(this.found.environments.map(({ row }) => row.author).filter(Boolean))].sort();
    const options = [el("option", { value: "" }, "choose…"), ...authors.map((name) => el("option", { value: name }, name))];
    const select = el("select", { onchange: () => this.chooseMe(select.value) }, ...options);
    return el("p", {}, el("label", {}, "Which author are you? ", select));
  }

  chooseMe(name) {
    if (!name) return;
    localStorage.setItem(ME, name);
    this.me = [name.toLowerCase()];
    this.showFiltered();
  }

  click(event) {
    const button = event.target.closest("[data-actions], [data-details]");
    if (!button) return;
    const environment = this.table.find(button);
    if (button.hasAttribute("data-details")) this.openDetails(environment);
    else this.openMenu(button, environment);
  }

  openDetails(environment) {
    const { project, row } = environment;
    const now = this.airflow.now();
    const read = () => this.reader.readDeploys(project, row.slug);
    const history = makeHistory(environment, { read, now, rollBack: (deploy) => this.rollBack(environment, deploy) });
    openDetails(byId("dialog"), environment, now, history);
  }

  rollBack(environment, { commit }) {
    const force = listActions(environment).find(({ id }) => id === "force");
    this.dialog.open(force, environment, { ref: commit });
  }

  openMenu(button, environment) {
    const branches = listBranches(this.found.environments, environment);
    const items = listActions(environment, branches).map((action) => ({
      ...action,
      choose: () => this.dialog.open(action, environment),
    }));
    const { label, ask } = offerFreezing(this.airflow, environment);
    const freezing = { label, choose: () => this.confirm.send({ ...ask, done: () => this.poller.start() }) };
    const details = { label: "Details", choose: () => this.openDetails(environment) };
    this.menu.open(button, [...items, freezing, details]);
  }

  // What changed since the last reading, for those who hear the page.
  announce(before) {
    if (!before.length) return;
    const states = new Map(before.map((each) => [each.id, each.state]));
    const moved = this.found.environments.filter((each) => states.get(each.id) !== each.state);
    const told = moved.slice(0, 3).map((each) => `${each.name}: ${tellState(each.state, each.verb)}`);
    if (moved.length) byId("told").textContent = reveal([...told, moved.length > 3 ? `and ${moved.length - 3} more` : ""].filter(Boolean).join("; "));
  }

  tick() {
    if (document.hidden || !this.snapshot) return;
    const now = this.airflow.now();
    this.table.refreshTimes(now);
    refreshTimes(byId("glance"), now);
    refreshTimes(byId("health"), now);
    refreshTimes(byId("doctor"), now);
    const age = (now - this.lastRead) / 1000;
    byId("fresh").textContent = this.failure || age > 30 || !this.isWell ? `Read ${tellDuration(age)} ago` : "Up to date";
    byId("fresh").classList.toggle("old", Boolean(this.failure));
  }
}

// How long it took from the data to what is seen; of the many, the browser keeps the last.
function measureShown(start) {
  requestAnimationFrame(() =>
    setTimeout(() => {
      performance.clearMeasures("shown");
      performance.measure("shown", { start });
    }),
  );
}

function logIn(event) {
  if (!event.target.closest("[data-airflow-login]") || !airflowUI) return;
  event.preventDefault();
  reloadAirflow();
}

new Page().start();
