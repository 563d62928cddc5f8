/** A link for one person, opened where another is signed in: which of them goes on is asked. */

import { fill, h } from "../dom.js";
import { button } from "../parts.js";
import { addressee, navigate } from "../router.js";
import { session } from "../session.js";
import { complain } from "../toast.js";
import { brand } from "./brand.js";

export default class ChooseAccountView extends HTMLElement {
  connectedCallback() {
    const { name, email } = session.me;
    const other = addressee() || "another account";
    fill(
      this,
      brand(),
      h(
        "section",
        { class: "card stack" },
        h("h1", { tabindex: "-1" }, "Choose an account"),
        h("p", {}, "This browser is signed in as ", h("strong", {}, h("bdi", {}, name)), ` (${email}).`),
        button(`Sign out and use ${other}`, signOut, { kind: "wide" }),
        button(`Continue as ${email}`, () => navigate("/console", { replace: true }), { kind: "quiet wide" }),
      ),
    );
  }
}

/** The page to sign in takes the place of this one, for the same address. */
async function signOut() {
  try {
    await session.signOut();
  } catch (error) {
    complain(error, "You are still signed in");
  }
}

customElements.define("choose-account-view", ChooseAccountView);
