/** What stands around the views: where one is, where one can go, and whether it is live. */

import { fill, h } from "./dom.js";
import { icon } from "./icons.js";
import { live } from "./live.js";
import { avatar } from "./parts.js";
import { path, ROUTES } from "./router.js";
import { session } from "./session.js";
import "./switcher.js";
import { complain } from "./toast.js";

const STATES = {
  live: "Live",
  connecting: "Connecting …",
  offline: "Not connected. Changes appear when the connection is back.",
};

export class Shell extends HTMLElement {
  outlet = h("main", { id: "main" });
  #switcher = h("organisation-switcher");
  #links = h("ul", {});
  #person = h("div", { class: "who" });
  #state = h("p", { class: "connection", role: "status" });
  #menu = h("button", { type: "button", class: "button plain menu", "aria-expanded": "false", "aria-controls": "menu", onclick: () => this.#open(this.#menu.ariaExpanded !== "true") }, icon("menu"), h("span", { class: "unseen" }, "Menu"));
  #here = h("p", { class: "here" });

  connectedCallback() {
    fill(
      this,
      h("a", { class: "skip", href: "#main" }, "Skip to the content"),
      h("div", { class: "bar" }, this.#menu, this.#here),
      h(
        "div",
        { class: "side", id: "menu", onkeydown: ({ key }) => key === "Escape" && this.#open(false) },
        this.#switcher,
        h("nav", { "aria-label": "Console" }, this.#links),
        h("div", { class: "foot" }, this.#state, this.#person),
      ),
      this.outlet,
    );
    live.addEventListener("state", () => this.#connection());
    this.#connection();
    this.show();
  }

  /** The session, or the address, is another. */
  show() {
    const here = path();
    fill(
      this.#links,
      Object.entries(ROUTES)
        .filter(([, route]) => !route.open)
        .map(([to, { title, icon: picture }]) =>
          h("li", {}, h("a", { href: to, "aria-current": to === here ? "page" : null }, icon(picture), title)),
        ),
    );
    fill(
      this.#person,
      avatar(session.me.name),
      h("div", {}, h("strong", {}, session.me.name), h("span", { class: "fine" }, session.me.email)),
      h("button", { type: "button", class: "button plain", "aria-label": "Sign out", title: "Sign out", onclick: signOut }, icon("sign-out")),
    );
    fill(this.#here, session.organisation.name);
    this.#switcher.show();
  }

  closeMenu() {
    this.#open(false);
  }

  #open(open) {
    this.toggleAttribute("data-menu", open);
    this.#menu.ariaExpanded = String(open);
  }

  #connection() {
    this.dataset.connection = live.state;
    fill(this.#state, STATES[live.state]);
  }
}

async function signOut() {
  try {
    await session.signOut();
  } catch (error) {
    complain(error, "You are still signed in");
  }
}

customElements.define("console-shell", Shell);
