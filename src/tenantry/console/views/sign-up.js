/** Sign up: an account and an organisation of its own. */

import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { field, form, newPassword } from "../form.js";
import { session } from "../session.js";
import { brand } from "./brand.js";

export default class SignUpView extends HTMLElement {
  connectedCallback() {
    const names = { required: true, minlength: 2, maxlength: 200, wrong: "Enter a name of 2 characters or more." };
    fill(
      this,
      brand(),
      h(
        "section",
        { class: "card" },
        h("h1", { tabindex: "-1" }, "Found an organisation"),
        h("p", { class: "soft" }, "You will be its owner. Somebody has invited you? Open the link in the mail instead."),
        form({
          fields: [
            field("Organisation", { name: "organisationName", autocomplete: "organization", "data-first": true, ...names }),
            field("Your name", { name: "name", autocomplete: "name", ...names }),
            field("Email", { name: "email", type: "email", autocomplete: "username", required: true, maxlength: 254, wrong: "Enter an email address, such as ada@example.com." }),
            newPassword("Choose a password"),
          ],
          action: "Sign up",
          busy: "Signing up …",
          onsubmit: async (values) => session.signedIn(await api.post("auth/register", values)),
        }),
      ),
      h("p", { class: "beside" }, "You have an account? ", h("a", { href: "/console/sign-in" }, "Sign in")),
    );
  }
}

customElements.define("sign-up-view", SignUpView);
