/** One's own account: profile, sign-in, second factor, sessions, and what is held. */

import { fill, h } from "../dom.js";
import { heading } from "../parts.js";
import { session } from "../session.js";
import "./account/factors.js";
import "./account/passkeys.js";
import "./account/privacy.js";
import "./account/profile.js";
import "./account/sessions.js";

export default class AccountView extends HTMLElement {
  connectedCallback() {
    fill(
      this,
      heading("Your account", `Signed in as ${session.me.email}.`),
      h("profile-card"),
      h("factors-card"),
      h("passkeys-card"),
      h("sessions-card"),
      h("privacy-card"),
    );
  }
}

customElements.define("account-view", AccountView);
