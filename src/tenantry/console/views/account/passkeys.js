/** Passkeys: to sign in without the password, and as a second factor. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fill, fillList, h } from "../../dom.js";
import { field } from "../../form.js";
import { date } from "../../format.js";
import { badge, button, card, when } from "../../parts.js";
import { make, usable } from "../../passkeys.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";
import { changed, showCodes } from "./factors.js";
import { currentPassword } from "./profile.js";

const named = (value = "") =>
  field("Name of the passkey", { name: "name", value, required: true, maxlength: 100, hint: "By which you know it again, such as “Phone”.", wrong: "Give it a name." });

class PasskeysCard extends View {
  lines = 2;
  #list = h("ul", { class: "list" });

  build() {
    const add = usable && button("Add a passkey", () => this.#add());
    return [card("Passkeys", { note: "Sign in with your device’s lock, without the password.", actions: [add] }, this.#list)];
  }

  load(signal) {
    return api.get("auth/passkeys", {}, { signal });
  }

  show(passkeys) {
    fillList(this.#list, passkeys, ({ id }) => id, (passkey) => this.#row(passkey));
    if (!passkeys.length) fill(this.#list, h("li", { class: "soft" }, usable ? "You have none yet." : "This browser cannot use passkeys."));
  }

  #row({ id, name, createdAt, usedAt, userVerified }) {
    const used = usedAt ? [", last used ", when(usedAt)] : ", not used yet";
    return h(
      "li",
      {},
      h("div", { class: "what" }, h("strong", {}, name), h("span", { class: "fine" }, `Since ${date(createdAt)}`, used)),
      !userVerified && badge("Second factor only"),
      h(
        "div",
        { class: "acts" },
        button("Rename", () => this.#rename(id, name), { kind: "plain", name: `Rename ${name}` }),
        button("Remove", () => this.#remove(id, name), { kind: "plain bad", name: `Remove ${name}` }),
      ),
    );
  }

  async #add() {
    let codes = null;
    const done = await ask({
      title: "Add a passkey",
      text: "Your browser will ask where to keep it: on this device, on your telephone, or on a key.",
      fields: [named(), currentPassword()],
      action: "Add the passkey",
      busy: "Waiting for your device …",
      act: async ({ name, password }) => {
        const { passkeyOptions } = await api.post("auth/passkeys/options", { password });
        const credential = await make(passkeyOptions);
        ({ recoveryCodes: codes } = await api.post("auth/passkeys", { name, credential }));
      },
    });
    if (!done) return;
    toast("The passkey has been added.", { kind: "good" });
    showCodes(codes);
    await changed();
  }

  async #rename(id, name) {
    const done = await ask({
      title: "Rename the passkey",
      text: "Only you see its name.",
      fields: [named(name)],
      action: "Rename",
      busy: "Renaming …",
      act: (values) => api.patch(`auth/passkeys/${id}`, values),
    });
    if (done) this.reload();
  }

  async #remove(id, name) {
    const done = await ask({
      title: `Remove ${name}?`,
      text: "It will sign you in no more. Your device may go on offering it, until you delete it there as well.",
      fields: [currentPassword()],
      action: "Remove",
      busy: "Removing …",
      danger: true,
      act: (values) => api.delete(`auth/passkeys/${id}`, values),
    });
    if (!done) return;
    toast(`${name} has been removed.`, { kind: "good" });
    await changed();
  }
}

customElements.define("passkeys-card", PasskeysCard);
