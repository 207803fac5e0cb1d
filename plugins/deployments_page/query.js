// What is asked of the table, as it stands in the URL: search, filters, sorting. Pure.

import { GROUPS, KINDS, STATES } from "./words.js";

export const EMPTY = { q: "", project: "", kind: "", state: "", mine: false, sort: "", view: "", quarter: "" };
const SORTS = ["name", "state", "commit", "deploy", "next"];
const URGENCY = Object.keys(STATES);
const KIND_ORDER = Object.keys(KINDS);

export function parseQuery(search) {
  const given = new URLSearchParams(search);
  const among = (name, allowed) => (allowed.includes(given.get(name)) ? given.get(name) : "");
  return {
    q: given.get("q") || "",
    project: given.get("project") || "",
    kind: among("kind", KIND_ORDER),
    state: among("state", Object.keys(GROUPS)),
    mine: given.get("mine") === "1",
    sort: among("sort", [...SORTS, ...SORTS.map((column) => `-${column}`)]),
    view: among("view", ["approvals"]),
    quarter: given.get("quarter") || "",
  };
}

export function formatQuery(query) {
  const kept = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value) kept.set(name, value === true ? "1" : value);
  const text = kept.toString();
  return text && `?${text}`;
}

export function isFiltered(query) {
  return Boolean(query.q.trim() || query.project || query.kind || query.state || query.mine);
}

// A filter for environments; `me` are the names by which an author may be the user, in lower case.
export function makeFilter(query, me) {
  const words = query.q.toLowerCase().split(/\s+/).filter(Boolean);
  return (environment) =>
    (!query.project || environment.project === query.project) &&
    (!query.kind || environment.row.kind === query.kind) &&
    (!query.state || isInGroup(environment, query.state)) &&
    (!query.mine || me.includes((environment.row.author || "").toLowerCase())) &&
    words.every((word) => isFound(environment, word));
}

// "#12" is that pull request and no other.
function isFound(environment, word) {
  if (!/^#\d+$/.test(word)) return environment.search.includes(word);
  const number = Number(word.slice(1));
  return environment.row.pull === number || (environment.row.pulls || []).includes(number);
}

export function isInGroup(environment, group) {
  return group === "leaving" ? environment.isLeaving : environment.group === group;
}

const KEYS = {
  name: (each) => each.name.toLowerCase(),
  state: (each) => [URGENCY.indexOf(each.state), -Date.parse(each.stateAt)],
  commit: (each) => -Date.parse(each.row.deployed_at || 0),
  deploy: ({ lastDeploy, row }) => -Date.parse((lastDeploy || {}).at || row.deployed_at || 0),
  next: (each) => (each.row.next_step ? Date.parse(each.row.next_step.at) : Number.MAX_SAFE_INTEGER),
};

// Unasked: targets, deploy branches, previews, each by name, so that rows keep their place while states change.
const BY_KIND = (each) => [KIND_ORDER.indexOf(each.row.kind), each.project, each.name.toLowerCase()];

export function sortEnvironments(environments, sort) {
  const column = sort.replace("-", "");
  const direction = sort.startsWith("-") ? -1 : 1;
  const key = KEYS[column];
  const keyed = environments.map((each) => ({ each, key: key ? [key(each)].flat() : [], rest: BY_KIND(each) }));
  keyed.sort((a, b) => direction * compare(a.key, b.key) || compare(a.rest, b.rest));
  return keyed.map(({ each }) => each);
}

function compare(a, b) {
  for (let at = 0; at < a.length; at += 1) {
    if (a[at] < b[at]) return -1;
    if (a[at] > b[at]) return 1;
  }
  return 0;
}
