/** The organisation's settings: its names, its second factor, its roles, and its end. */

import { fill, h } from "../dom.js";
import { heading } from "../parts.js";
import { session } from "../session.js";
import "./settings/ending.js";
import "./settings/names.js";
import "./settings/roles.js";
import "./settings/second-factor.js";

export default class SettingsView extends HTMLElement {
  connectedCallback() {
    fill(
      this,
      heading("Settings", session.can("organisation:update") ? `For everybody in ${session.organisation.name}.` : `What holds in ${session.organisation.name}. Admins can change it.`),
      h("names-card"),
      h("required-factor-card"),
      h("roles-card"),
      h("ending-card"),
    );
  }
}

customElements.define("settings-view", SettingsView);
