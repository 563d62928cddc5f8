/** Sign in: with the password and, where the account asks for one, a second factor; or a passkey. */

import { api } from "../api.js";
import { fill, h } from "../dom.js";
import { explain, field, form } from "../form.js";
import { sign, usable } from "../passkeys.js";
import { understood } from "../problem.js";
import { proofForm } from "../proof.js";
import { takeAddressee } from "../router.js";
import { session } from "../session.js";
import { brand } from "./brand.js";

export default class SignInView extends HTMLElement {
  #notice = session.notice;
  #email = takeAddressee();

  connectedCallback() {
    this.#first();
  }

  #first(problem = null) {
    const passkey = h("button", { type: "button", class: "button quiet wide", onclick: () => this.#alone(passkey, password) }, "Sign in with a passkey");
    const password = form({
      fields: [
        field("Email", { name: "email", type: "email", autocomplete: "username webauthn", required: true, value: this.#email, "data-first": !this.#email, wrong: "Enter your email address." }),
        field("Password", { name: "password", type: "password", autocomplete: "current-password", required: true, "data-first": Boolean(this.#email), wrong: "Enter your password." }),
      ],
      action: "Sign in",
      busy: "Signing in …",
      onsubmit: async (values) => this.#answered(await api.post("auth/login", values)),
    });
    fill(
      this,
      brand(),
      h(
        "section",
        { class: "card" },
        h("h1", { tabindex: "-1" }, "Sign in"),
        this.#notice && h("p", { class: "notice", role: "status" }, this.#notice),
        password,
        usable && [h("p", { class: "or" }, "or"), passkey],
        h("p", { class: "beside" }, h("a", { href: "/account/forgot-password" }, "Forgot your password?")),
      ),
      h("p", { class: "beside" }, "New here? ", h("a", { href: "/console/sign-up" }, "Found an organisation")),
    );
    if (problem) explain(password, problem);
    else this.querySelector("[data-first]").focus();
  }

  async #answered(answer) {
    if (answer.secondFactor) this.#second(answer.secondFactor);
    else await session.signedIn(answer);
  }

  #second({ token, methods, passkeyOptions }) {
    const proof = proofForm({
      methods,
      options: () => passkeyOptions,
      action: "Confirm",
      busy: "Signing in …",
      submit: async (given) => {
        try {
          await session.signedIn(await api.post("auth/login/second-factor", { token, ...given }));
        } catch (problem) {
          if (problem.code !== "SIGN_IN_EXPIRED") throw problem;
          this.#first(problem);
        }
      },
    });
    const back = h("button", { type: "button", class: "button plain", onclick: () => this.#first() }, "Sign in as somebody else");
    fill(
      this,
      brand(),
      h(
        "section",
        { class: "card" },
        h("h1", { tabindex: "-1" }, "One more step"),
        h("p", { class: "soft" }, "Your account asks for a second factor."),
        proof,
      ),
      h("p", { class: "beside" }, back),
    );
    proof.querySelector("input, button").focus();
  }

  /** With a passkey that knows who its person is. */
  async #alone(button, password) {
    if (button.disabled) return;
    button.disabled = true;
    try {
      const { token, passkeyOptions } = await api.post("auth/login/passkey/options");
      const credential = await sign(passkeyOptions);
      await session.signedIn(await api.post("auth/login/passkey", { token, credential }));
    } catch (error) {
      explain(password, understood(error));
    } finally {
      button.disabled = false;
    }
  }
}

customElements.define("sign-in-view", SignInView);
