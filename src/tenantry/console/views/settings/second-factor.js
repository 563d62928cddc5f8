/** Whether everybody has to have a second factor. */

import { api } from "../../api.js";
import { ask, openDialog } from "../../dialog.js";
import { fill, h } from "../../dom.js";
import { badge, button, card } from "../../parts.js";
import { understood } from "../../problem.js";
import { methodsOf, stepUp } from "../../proof.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";

class RequiredFactorCard extends View {
  static types = new Set(["ORGANISATION_CHANGED"]);
  lines = 1;
  #state = h("div", { class: "row apart" });

  build() {
    return [card("Second factor", { note: "Beside the password: a code from an app, or a passkey." }, this.#state)];
  }

  load(signal) {
    return api.get("organisations", {}, { signal });
  }

  show({ requiresSecondFactor: required }) {
    const owner = session.can("organisation:own");
    fill(
      this.#state,
      h(
        "div",
        { class: "what" },
        h("div", { class: "row" }, h("strong", {}, required ? "Everybody must have one" : "Everybody decides for themselves"), badge(required ? "Required" : "Not required", required ? "good" : "")),
        h("p", { class: "fine" }, required ? "Whoever has none can open their account only, to add one." : "A stolen password alone is enough to get in.", !owner && " An owner can change this."),
      ),
      owner && (required ? button("Require it no more", () => this.#stop()) : button("Require it", () => this.#require(), { name: "Require a second factor" })),
    );
  }

  /** The API asks it of who requires it: nobody locks themselves out. */
  async #require() {
    let methods;
    try {
      const [me, factors] = await Promise.all([api.get("auth/me"), api.get("auth/second-factors")]);
      if (me.secondFactor) return this.#confirm();
      methods = methodsOf(factors);
    } catch (error) {
      return toast(understood(error).message, { kind: "bad", title: "Nothing has been changed" });
    }
    if (!methods.length)
      return openDialog(
        "Add one yourself first",
        h("div", { class: "stack" }, h("p", {}, "You have no second factor, so you would lock yourself out. Add an app or a passkey to your account, then come back."), h("div", { class: "row" }, h("a", { class: "button", href: "/console/account" }, "Open your account"))),
      );
    const dialog = openDialog(
      "Give your second factor first",
      h(
        "div",
        { class: "stack" },
        h("p", {}, "This session began without it, so you would lock yourself out."),
        stepUp(methods, async () => {
          dialog.close();
          await session.reload();
          await this.#confirm();
        }),
      ),
    );
  }

  async #confirm() {
    const done = await ask({
      title: "Require a second factor of everybody?",
      text: "It takes effect at once. Whoever is signed in without one is shut out, devices and open pages alike, until they add one to their account and give it.",
      action: "Require it",
      busy: "Requiring …",
      act: () => api.patch("organisations", { requireSecondFactor: true }),
    });
    if (done) this.#done("Everybody must have a second factor now.");
  }

  async #stop() {
    const done = await ask({
      title: "Require it no more?",
      text: "A password alone is enough again, for whoever has no second factor. Those who have one go on using it.",
      action: "Require it no more",
      busy: "Changing …",
      danger: true,
      act: () => api.patch("organisations", { requireSecondFactor: false }),
    });
    if (done) this.#done("A second factor is not required any more.");
  }

  #done(text) {
    toast(text, { kind: "good" });
    this.reload();
  }
}

customElements.define("required-factor-card", RequiredFactorCard);
