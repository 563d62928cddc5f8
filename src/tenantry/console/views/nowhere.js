/** An address that the console does not have. */

import { fill, h } from "../dom.js";
import { empty, heading } from "../parts.js";

export default class NowhereView extends HTMLElement {
  connectedCallback() {
    const home = h("a", { class: "button", href: "/console" }, "Go to the overview");
    fill(this, heading("Not found"), h("section", { class: "card" }, empty("There is nothing at this address", "The link may be old, or mistyped.", home)));
  }
}

customElements.define("nowhere-view", NowhereView);
