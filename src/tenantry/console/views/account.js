/** One's own account. */

import { fill } from "../dom.js";
import { heading } from "../parts.js";
import { session } from "../session.js";

export default class AccountView extends HTMLElement {
  connectedCallback() {
    fill(this, heading("Your account", session.me.email));
  }
}

customElements.define("account-view", AccountView);
