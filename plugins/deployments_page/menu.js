// The menu of a row's actions: opens at its button, walks by arrows, closes by Escape or a click elsewhere.

import { el } from "./dom.js";

const EDGE = 8; // pixels kept free around the menu

export class Menu {
  constructor(element) {
    this.element = element;
    this.opener = null;
    element.addEventListener("keydown", (event) => this.walk(event));
    element.addEventListener("toggle", (event) => this.mark(event.newState === "open"));
  }

  // Items: [{label, isDangerous, choose}].
  open(opener, items) {
    this.opener = opener;
    const make = ({ label, isDangerous, choose }) => {
      const look = isDangerous ? "item dangerous" : "item";
      return el("button", { type: "button", role: "menuitem", class: look, onclick: () => this.choose(choose) }, label);
    };
    this.element.replaceChildren(...items.map(make));
    this.element.setAttribute("aria-label", opener.getAttribute("aria-label"));
    this.element.showPopover();
    this.place();
    this.element.firstElementChild.focus();
  }

  choose(choose) {
    this.element.hidePopover();
    choose(this.opener);
  }

  mark(isOpen) {
    if (this.opener) this.opener.setAttribute("aria-expanded", String(isOpen));
  }

  place() {
    const at = this.opener.getBoundingClientRect();
    const { offsetWidth: width, offsetHeight: height } = this.element;
    const below = at.bottom + 4 + height < innerHeight - EDGE ? at.bottom + 4 : at.top - height - 4;
    this.element.style.left = `${Math.max(EDGE, Math.min(at.right - width, innerWidth - width - EDGE))}px`;
    this.element.style.top = `${Math.max(EDGE, below)}px`;
  }

  walk(event) {
    const items = [...this.element.children];
    const at = items.indexOf(document.activeElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (event.key === "Tab") this.element.hidePopover();
    if (next === undefined) return;
    event.preventDefault();
    items[(next + items.length) % items.length].focus();
  }
}
