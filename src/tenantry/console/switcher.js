/** The organisation that is shown, and a menu of the others that the person is in. */

import { api } from "./api.js";
import { ask } from "./dialog.js";
import { fill, h } from "./dom.js";
import { field } from "./form.js";
import { planName, roleName } from "./format.js";
import { icon } from "./icons.js";
import { avatar } from "./parts.js";
import { session } from "./session.js";
import { complain, toast } from "./toast.js";

const STEPS = { ArrowDown: 1, ArrowUp: -1 };

/** A menu button, as the ARIA Authoring Practices have it. */
class OrganisationSwitcher extends HTMLElement {
  #button = h("button", { type: "button", class: "switch", "aria-haspopup": "menu", "aria-expanded": "false", "aria-controls": "organisations", onclick: () => this.#open(this.#menu.hidden), onkeydown: (event) => this.#onButton(event) });
  #menu = h("div", { class: "menu-list", role: "menu", id: "organisations", "aria-label": "Organisations", hidden: true, onkeydown: (event) => this.#onMenu(event) });
  #outside = ({ target }) => this.contains(target) || this.#open(false);

  connectedCallback() {
    fill(this, this.#button, this.#menu);
    this.addEventListener("focusout", ({ relatedTarget }) => relatedTarget && !this.contains(relatedTarget) && this.#open(false));
    document.addEventListener("pointerdown", this.#outside);
    this.show();
  }

  disconnectedCallback() {
    document.removeEventListener("pointerdown", this.#outside);
  }

  /** Called by the shell whenever the session is another. */
  show() {
    const { name, subscriptionPlan } = session.organisation;
    fill(
      this.#button,
      avatar(name),
      h("span", { class: "names" }, h("strong", {}, name), h("span", { class: "fine" }, `${planName(subscriptionPlan)} plan`)),
      h("span", { class: "unseen" }, ", switch organisation"),
      icon("chevrons"),
    );
    const focused = this.#items.indexOf(document.activeElement);
    fill(
      this.#menu,
      session.me.memberships.map((membership) => this.#organisation(membership)),
      h("hr", { role: "separator" }),
      h("button", { type: "button", role: "menuitem", tabindex: "-1", onclick: () => this.#found() }, h("span", { class: "avatar" }, icon("plus")), "New organisation"),
    );
    this.#items[focused]?.focus();
  }

  #organisation(membership) {
    const { id, name, requiresSecondFactor } = membership.organisation;
    const here = id === session.organisation.id;
    const blocked = requiresSecondFactor && !session.me.secondFactor;
    return h(
      "button",
      { type: "button", role: "menuitemradio", tabindex: "-1", "aria-checked": String(here), onclick: () => this.#switch(id, name) },
      avatar(name),
      h("span", { class: "names" }, h("span", {}, name), h("span", { class: "fine" }, roleName(membership), blocked && ", asks for a second factor")),
      here && icon("check"),
    );
  }

  get #items() {
    return [...this.#menu.querySelectorAll("[role^=menuitem]")];
  }

  /** `at`: which one has the focus; the one that is shown, if nothing is said. */
  #open(open, at = this.#items.findIndex(({ ariaChecked }) => ariaChecked === "true")) {
    if (open === !this.#menu.hidden) return;
    const inside = this.#menu.contains(document.activeElement);
    this.#menu.hidden = !open;
    this.#button.ariaExpanded = String(open);
    if (open) {
      this.#items.at(at).focus();
      session.reload(); // of what happens in the others there is no event here
    } else if (inside) {
      this.#button.focus();
    }
  }

  #onButton(event) {
    if (!(event.key in STEPS)) return;
    event.preventDefault();
    this.#open(true, event.key === "ArrowUp" ? -1 : 0);
  }

  #onMenu(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const items = this.#items;
    const at = items.indexOf(document.activeElement);
    const begins = ({ innerText }) => innerText.trim().toLowerCase().startsWith(event.key.toLowerCase());
    let to;
    if (event.key in STEPS) to = items.at((at + STEPS[event.key]) % items.length);
    else if (event.key === "Home") to = items[0];
    else if (event.key === "End") to = items.at(-1);
    else if (event.key === "Escape") this.#open(false);
    else if (event.key === "Tab") return this.#open(false); // and on, from the button
    else if (/^\S$/.test(event.key)) to = [...items.slice(at + 1), ...items].find((item) => begins(item.querySelector(".names > *") ?? item));
    else return;
    event.preventDefault();
    event.stopPropagation(); // it is not the telephone's menu that is meant
    to?.focus();
  }

  async #switch(id, name) {
    this.#open(false);
    if (id === session.organisation.id) return;
    try {
      await session.switchTo(id);
      if (session.organisation?.id === id) toast(`You are in ${name} now.`);
    } catch (error) {
      complain(error, `You are still in ${session.organisation.name}`);
      session.reload();
    }
  }

  async #found() {
    this.#open(false);
    let founded;
    const done = await ask({
      title: "Found an organisation",
      text: "You will be its owner, beside those that you are in. It has its own members, plan and activity.",
      fields: [field("Name", { name: "name", autocomplete: "organization", required: true, minlength: 2, maxlength: 200, wrong: "Enter a name of 2 characters or more." })],
      action: "Found it",
      busy: "Founding …",
      act: async (values) => (founded = await api.post("organisations", values)),
    });
    if (done) await this.#switch(founded.id, founded.name);
  }
}

customElements.define("organisation-switcher", OrganisationSwitcher);
