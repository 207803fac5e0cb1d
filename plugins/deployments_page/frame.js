// The frame that the page sits in: Airflow's UI, or a window of its own. Theme, address, and links out of it.

import { el } from "./dom.js";

const PAGE = "/deploy-ops/page";

// Airflow's UI around us, if there is one.
export const airflowUI = window.parent !== window ? window.parent : null;

// What stands before our prefix: Airflow may live behind one of its own.
export const base = location.pathname.slice(0, location.pathname.lastIndexOf(PAGE));

export function followTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = airflowUI && airflowUI.document.documentElement;
  const apply = () => {
    const isDark = root && /\b(dark|light)\b/.test(root.className) ? root.classList.contains("dark") : system.matches;
    document.documentElement.dataset.theme = isDark ? "dark" : "light";
    if (airflowUI) borrowLook();
  };
  apply();
  system.addEventListener("change", apply);
  if (root) new MutationObserver(apply).observe(root, { attributes: true, attributeFilter: ["class"] });
}

// The page is part of Airflow's UI, so it takes its type and its ground.
function borrowLook() {
  const { style } = document.documentElement;
  style.setProperty("--font", airflowUI.getComputedStyle(airflowUI.document.body).fontFamily);
  const ground = findGround(window.frameElement);
  if (ground) style.setProperty("--ground", ground);
  else style.removeProperty("--ground");
}

// The colour behind an element: the first of its ancestors' that lets nothing through.
function findGround(element) {
  for (let each = element; each; each = each.parentElement) {
    const { backgroundColor } = airflowUI.getComputedStyle(each);
    if (backgroundColor !== "transparent" && !/[,/]\s*0\)$/.test(backgroundColor)) return backgroundColor;
  }
  return "";
}

// The query that the page was opened with. `/plugin/deployments?q=…` reaches only the window around us.
export function readAddress() {
  if (location.search || !airflowUI) return location.search;
  return airflowUI.location.pathname.includes(PAGE) ? "" : airflowUI.location.search;
}

export function writeAddress(search) {
  const mine = location.pathname + search;
  if (location.pathname + location.search !== mine) history.replaceState(history.state, "", mine);
  if (!airflowUI) return;
  const [path] = airflowUI.location.pathname.split(location.pathname);
  const outer = path.replace(/\/$/, "") + mine;
  if (airflowUI.location.pathname + airflowUI.location.search === outer) return;
  airflowUI.history.replaceState(airflowUI.history.state, "", outer);
}

// A page of Airflow's, by its path below the base.
export function airflowLink(path, attributes, ...children) {
  return el("a", { ...attributes, href: base + path, "data-airflow": true }, ...children);
}

export function runPath(dag, runId) {
  return `/dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(runId)}`;
}

// A page elsewhere; what is no web address becomes text.
export function outsideLink(url, attributes, ...children) {
  if (!/^https?:\/\//i.test(url || "")) return el("span", attributes, ...children);
  return el("a", { ...attributes, href: url, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

// Our sandbox may neither navigate the window nor open another one: the window around us does both, in our place.
export function leaveByLinks() {
  if (!airflowUI) return;
  for (const kind of ["click", "auxclick"]) document.addEventListener(kind, follow);
}

function follow(event) {
  const link = event.target.closest("a[href]");
  if (!link || link.getAttribute("href").startsWith("#") || event.defaultPrevented || event.button > 1) return;
  event.preventDefault();
  const isPlain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (isPlain && link.hasAttribute("data-airflow")) navigate(link.href);
  else openTab(link.href);
}

function navigate(url) {
  airflowUI.history.pushState({}, "", url);
  airflowUI.dispatchEvent(new airflowUI.PopStateEvent("popstate", { state: {} }));
}

function openTab(url) {
  clickOutside(url, { target: "_blank", rel: "noopener noreferrer" });
}

// Loads Airflow's UI anew, which sends whoever is logged out to its login page.
export function reloadAirflow() {
  clickOutside(airflowUI.location.href, {});
}

function clickOutside(url, attributes) {
  const outer = airflowUI.document;
  const link = Object.assign(outer.createElement("a"), { href: url, ...attributes });
  outer.body.append(link);
  link.click();
  link.remove();
}
