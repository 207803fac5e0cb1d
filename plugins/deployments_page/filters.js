// The controls above the table: counts that filter by state, search, choices; they show the query and change it.

import { el } from "./dom.js";
import { isFiltered, isInGroup } from "./query.js";
import { GROUPS, KINDS } from "./words.js";

const SORTS = { "": "Name", state: "Urgency", "-commit": "Oldest deploy", commit: "Newest deploy", next: "Next step" };

export class Filters {
  constructor(root, onChange) {
    this.onChange = onChange;
    for (const name of ["search", "project", "kind", "mine", "sort", "reset", "counts"]) this[name] = root.getElementById(name);
    this.buttons = Object.entries({ "": "All", ...GROUPS }).map(([group, label]) => this.makeCount(group, label));
    this.counts.append(...this.buttons.map(({ button }) => button));
    fillSelect(this.kind, [["", "All"], ...Object.entries(KINDS)]);
    fillSelect(this.sort, Object.entries(SORTS));
    this.listen(root);
  }

  makeCount(group, label) {
    const number = el("span", { class: "number" }, "0");
    const button = el("button", { type: "button", class: `count ${group}`, "aria-pressed": "false" }, number, ` ${label}`);
    button.addEventListener("click", () => this.onChange({ state: group }));
    return { group, number, button };
  }

  listen(root) {
    root.getElementById("filters").addEventListener("submit", (event) => event.preventDefault());
    this.search.addEventListener("input", () => this.onChange({ q: this.search.value }));
    for (const name of ["project", "kind", "sort"]) this[name].addEventListener("change", () => this.onChange({ [name]: this[name].value }));
    this.mine.addEventListener("change", () => this.onChange({ mine: this.mine.checked }));
    this.reset.addEventListener("click", () => {
      this.onChange({ q: "", project: "", kind: "", state: "", mine: false });
      this.search.focus();
    });
  }

  showQuery(query) {
    if (this.search.value !== query.q) this.search.value = query.q;
    this.project.value = query.project;
    this.kind.value = query.kind;
    this.mine.checked = query.mine;
    if (query.sort in SORTS) this.sort.value = query.sort;
    this.reset.hidden = !isFiltered(query);
    for (const { group, button } of this.buttons) button.setAttribute("aria-pressed", String(group === query.state));
  }

  // Counts what the other filters let through; a group without any is left out, unless it is the one asked for.
  showCounts(environments, query, isLetThrough) {
    const counted = environments.filter(isLetThrough);
    for (const { group, number, button } of this.buttons) {
      const found = group ? counted.filter((each) => isInGroup(each, group)).length : counted.length;
      if (number.textContent !== String(found)) number.textContent = String(found);
      button.hidden = !found && group !== "" && group !== "live" && group !== query.state;
    }
  }

  showProjects(names, query) {
    const wanted = query.project && !names.includes(query.project) ? [...names, query.project] : names;
    if ([...this.project.options].slice(1).map(({ value }) => value).join() === wanted.join()) return;
    fillSelect(this.project, [["", "All"], ...wanted.map((name) => [name, name])]);
    this.project.value = query.project;
  }
}

function fillSelect(select, options) {
  select.replaceChildren(...options.map(([value, label]) => el("option", { value }, label)));
}
