/** What is held about oneself, and its end. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fill, h } from "../../dom.js";
import { button, card } from "../../parts.js";
import { session } from "../../session.js";
import { complain } from "../../toast.js";
import { currentPassword } from "./profile.js";

class PrivacyCard extends HTMLElement {
  connectedCallback() {
    const line = (title, text, act) =>
      h("li", {}, h("div", { class: "what" }, h("strong", {}, title), h("span", { class: "fine" }, text)), h("div", { class: "acts" }, act));
    fill(
      this,
      card(
        "Your data",
        {},
        h(
          "ul",
          { class: "list" },
          line("Export", "Everything that is held about you, as JSON.", button("Download", download, { kind: "plain", name: "Download your data" })),
          line("Delete the account", "You leave every organisation, and who you were is erased.", button("Delete", erase, { kind: "plain bad", name: "Delete the account" })),
        ),
      ),
    );
  }
}

async function download({ currentTarget: pressed }) {
  pressed.disabled = true;
  try {
    const held = await api.get("auth/me/export");
    const url = URL.createObjectURL(new Blob([JSON.stringify(held, null, 2)], { type: "application/json" }));
    h("a", { href: url, download: "tenantry-account.json" }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  } catch (error) {
    complain(error, "Nothing was exported");
  } finally {
    pressed.disabled = false;
  }
}

function erase() {
  return ask({
    title: "Delete your account?",
    text: "It cannot be taken back. What you did stays in the organisations’ feeds, under “Former member”.",
    fields: [currentPassword()],
    action: "Delete the account",
    busy: "Deleting …",
    danger: true,
    act: (values) => session.depart(() => api.delete("auth/me", values), "Your account has been deleted."),
  });
}

customElements.define("privacy-card", PrivacyCard);
