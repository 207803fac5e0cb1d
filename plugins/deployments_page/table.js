// Keeps the table's rows: changes only cells whose facts changed, moves only rows that moved, and keeps the focus.

import { COLUMNS } from "./cells.js";
import { el } from "./dom.js";

export class Table {
  constructor(head, body, onSort) {
    this.body = body;
    this.rows = new Map(); // id → {tr, cells: [{td, facts}], environment}
    this.columns = COLUMNS.map((column) => makeHeading(column, onSort));
    head.append(el("tr", { role: "row" }, ...this.columns));
  }

  // Shows these environments in this order; returns the ids whose cells changed.
  show(environments, now) {
    const wanted = new Set(environments.map((each) => each.id));
    for (const [id, { tr }] of this.rows) if (!wanted.has(id)) this.drop(id, tr);
    const changed = environments.filter((each) => this.put(each, now)).map((each) => each.id);
    this.order(environments);
    return changed;
  }

  drop(id, tr) {
    tr.remove();
    this.rows.delete(id);
  }

  put(environment, now) {
    const row = this.rows.get(environment.id) || this.add(environment);
    row.environment = environment;
    const focused = row.tr.contains(document.activeElement) ? document.activeElement : null;
    const stale = row.cells.filter((cell, at) => this.fill(cell, COLUMNS[at], environment, now));
    if (focused && !focused.isConnected) refocus(row.tr, focused, stale);
    return stale.length > 0;
  }

  add(environment) {
    const cells = COLUMNS.map(({ name, title }) => ({
      td: el("td", { role: "cell", class: `cell ${name}`, "data-label": title }),
      facts: null,
    }));
    const tr = el("tr", { role: "row", class: "row", "data-id": environment.id }, ...cells.map(({ td }) => td));
    const row = { tr, cells, environment };
    this.rows.set(environment.id, row);
    return row;
  }

  fill(cell, column, environment, now) {
    const facts = JSON.stringify(column.facts(environment)) ?? "";
    if (cell.facts === facts) return false;
    cell.facts = facts;
    cell.td.replaceChildren(column.make(environment, now));
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

  // Shows of the rows only those; returns how many.
  filter(isShown) {
    let shown = 0;
    for (const { tr, environment } of this.rows.values()) {
      const isHidden = !isShown(environment);
      if (tr.hidden !== isHidden) tr.hidden = isHidden;
      if (!isHidden) shown += 1;
    }
    return shown;
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

function makeHeading({ name, title, sort }, onSort) {
  const attributes = { role: "columnheader", scope: "col", class: `cell ${name}` };
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
