/** Where one is signed in. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fillList, h } from "../../dom.js";
import { deviceName } from "../../format.js";
import { badge, button, card, when } from "../../parts.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";

class SessionsCard extends View {
  lines = 3;
  #list = h("ul", { class: "list" });

  build() {
    const everywhere = button("Sign out everywhere", () => this.#endAll());
    return [card("Where you are signed in", { actions: [everywhere] }, this.#list)];
  }

  load(signal) {
    return api.get("auth/sessions", {}, { signal });
  }

  show(sessions) {
    fillList(this.#list, sessions, ({ id }) => id, (each) => this.#row(each));
  }

  #row({ id, device: agent, address, secondFactor, usedAt, current }) {
    const device = deviceName(agent);
    return h(
      "li",
      {},
      h(
        "div",
        { class: "what" },
        h("strong", { title: agent }, device),
        h("span", { class: "fine" }, `${address}, last used `, when(usedAt), secondFactor && ", with your second factor"),
      ),
      current
        ? badge("This device", "good")
        : h("div", { class: "acts" }, button("End", () => this.#end(id, device), { kind: "plain bad", name: `End the session on ${device}` })),
    );
  }

  async #end(id, device) {
    const done = await ask({
      title: "End this session?",
      text: `${device} is signed out at once.`,
      action: "End the session",
      busy: "Ending …",
      danger: true,
      act: () => api.delete(`auth/sessions/${id}`),
    });
    if (!done) return;
    toast(`${device} has been signed out.`, { kind: "good" });
    this.reload();
  }

  #endAll() {
    return ask({
      title: "Sign out everywhere?",
      text: "All your devices are signed out at once, this one too.",
      action: "Sign out everywhere",
      busy: "Signing out …",
      danger: true,
      act: async () => {
        await api.post("auth/logout-all");
        session.ended("You have signed out everywhere.");
      },
    });
  }
}

customElements.define("sessions-card", SessionsCard);
