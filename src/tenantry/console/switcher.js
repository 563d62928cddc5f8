/** The organisation that is shown. */

import { fill, h } from "./dom.js";
import { planName } from "./format.js";
import { avatar } from "./parts.js";
import { session } from "./session.js";

class OrganisationSwitcher extends HTMLElement {
  connectedCallback() {
    this.show();
  }

  /** Called by the shell whenever the session is another. */
  show() {
    const { name, subscriptionPlan } = session.organisation;
    fill(
      this,
      avatar(name),
      h("div", {}, h("strong", {}, name), h("span", { class: "fine" }, `${planName(subscriptionPlan)} plan`)),
    );
  }
}

customElements.define("organisation-switcher", OrganisationSwitcher);
