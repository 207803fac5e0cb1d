// Keeps the table's rows: changes only cells whose facts changed, moves only rows that moved, and keeps the focus.
// Rows are filled and shown a few at a time, so that no number of them ever keeps anybody waiting.

import { COLUMNS } from "./cells.js";
import { el, refreshTimes } from "./dom.js";

const AT_ONCE = 30; // rows; more than a screen holds
const AT_A_TIME = 12; // further rows, between which the browser heeds people

export class Table {
  constructor(head, body, onSort) {
    this.body = body;
    this.rows = new Map(); // id → {tr, cells: [{td, facts}], environment, isStale, isNear}
    this.waiting = []; // rows that will be shown, in their order
    this.now = 0;
    this.columns = COLUMNS.map((column) => makeHeading(column, onSort));
    head.append(el("tr", { role: "row" }, ...this.columns));
  }

  // Takes these environments in this order; those that are new are shown by the next `filter`.
  show(environments, now) {
    this.now = now;
    const wanted = new Set(environments.map((each) => each.id));
    for (const [id, { tr }] of this.rows) if (!wanted.has(id)) this.drop(id, tr);
    for (const each of environments) this.put(each);
    this.order(environments);
  }

  drop(id, tr) {
    tr.remove();
    this.rows.delete(id);
  }

  put(environment) {
    const row = this.rows.get(environment.id) || this.add(environment);
    row.isStale ||= !row.environment || !isSame(row.environment, environment);
    row.environment = environment;
    if (!row.tr.hidden) this.freshen(row);
  }

  freshen(row) {
    if (!row.isStale) return;
    row.isStale = false;
    const focused = row.tr.contains(document.activeElement) ? document.activeElement : null;
    const stale = row.cells.filter((cell, at) => this.fill(cell, COLUMNS[at], row.environment));
    if (focused && !focused.isConnected) refocus(row.tr, focused, stale);
  }

  add(environment) {
    const cells = COLUMNS.map(({ name, title }) => ({
      td: el("td", { role: "cell", class: `cell col-${name}`, "data-label": title }),
      facts: null,
    }));
    const tr = el("tr", { role: "row", class: "row", hidden: true, "data-id": environment.id }, ...cells.map(({ td }) => td));
    const row = { tr, cells, environment: null, isStale: true, isNear: true };
    tr.addEventListener("contentvisibilityautostatechange", ({ skipped }) => this.approach(row, !skipped));
    this.rows.set(environment.id, row);
    return row;
  }

  // Ages are kept right only in rows that are on the screen or near it.
  approach(row, isNear) {
    row.isNear = isNear;
    if (isNear) refreshTimes(row.tr, this.now);
  }

  refreshTimes(now) {
    this.now = now;
    for (const { tr, isNear } of this.rows.values()) if (isNear && !tr.hidden) refreshTimes(tr, now);
  }

  fill(cell, column, environment) {
    const facts = JSON.stringify(column.facts(environment)) ?? "";
    if (cell.facts === facts) return false;
    cell.facts = facts;
    cell.td.replaceChildren(column.make(environment, this.now));
    return true;
  }

  // Moves as few rows as it can: where the next row is the wanted one, this one went elsewhere.
  order(environments) {
    let at = this.body.firstElementChild;
    for (const { id } of environments) {
      const { tr } = this.rows.get(id);
      if (at && tr === at.nextElementSibling) {
        place(this.body, at, null);
        at = tr;
      }
      if (tr === at) at = at.nextElementSibling;
      else place(this.body, tr, at);
    }
  }

  // Shows of these environments only those that pass, the first of them at once; returns how many pass.
  filter(environments, isShown) {
    const wanted = environments.filter(isShown).map(({ id }) => this.rows.get(id));
    const kept = new Set(wanted);
    for (const row of this.rows.values()) if (!kept.has(row) && !row.tr.hidden) row.tr.hidden = true;
    this.waiting = wanted.filter(({ tr }) => tr.hidden);
    this.reveal(AT_ONCE);
    return wanted.length;
  }

  reveal(count) {
    for (const row of this.waiting.splice(0, count)) {
      this.freshen(row);
      row.tr.hidden = false;
    }
    clearTimeout(this.timer);
    if (this.waiting.length) this.timer = setTimeout(() => this.reveal(AT_A_TIME));
  }

  markSort(sort) {
    COLUMNS.forEach((column, at) => {
      if (column.sort) this.columns[at].ariaSort = { [column.sort]: "ascending", [`-${column.sort}`]: "descending" }[sort] || "none";
    });
  }

  find(element) {
    const tr = element.closest("tr[data-id]");
    return tr ? this.rows.get(tr.dataset.id).environment : null;
  }
}

// A row that was not read again is the same object; besides it, only what is laid over it can differ.
function isSame(a, b) {
  if (a.row !== b.row || a.isPaused !== b.isPaused || a.repository !== b.repository) return false;
  const laid = ({ state, stateAt, why, verb, flight, approval }) => [state, stateAt, why, verb, flight, approval && approval.task_instance];
  return JSON.stringify(laid(a)) === JSON.stringify(laid(b));
}

function makeHeading({ name, title, sort }, onSort) {
  const attributes = { role: "columnheader", scope: "col", class: `cell col-${name}` };
  if (!sort) return el("th", attributes, title);
  const button = el("button", { type: "button", class: "sorter", onclick: () => onSort(sort) }, title);
  return el("th", { ...attributes, "aria-sort": "none" }, button);
}

function place(body, tr, before) {
  const focused = tr.contains(document.activeElement) ? document.activeElement : null;
  body.insertBefore(tr, before);
  if (focused) focused.focus({ preventScroll: true });
}

// The focus goes to the same thing in the new cell, or at least stays in the row.
function refocus(tr, lost, stale) {
  const like = (found) => found.tagName === lost.tagName && found.textContent === lost.textContent;
  const candidates = stale.flatMap(({ td }) => [...td.querySelectorAll("a, button")]);
  const next = candidates.find(like) || tr.querySelector("button.name");
  next.focus({ preventScroll: true });
}
