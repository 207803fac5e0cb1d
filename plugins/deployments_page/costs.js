// What the Deployments of each project cost this month so far, its targets among them: an estimate, where its policy gives prices.

import { bdi, el } from "./dom.js";

export function makeCosts(projects) {
  const priced = projects.filter(({ summary }) => summary && summary.cost);
  return priced.map(({ name, summary }) => el("p", {}, "Estimated cost of ", bdi(name), ": ", bdi(summary.cost)));
}
