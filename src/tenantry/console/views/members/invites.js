/** The open invites: who has not answered yet. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fillList, h } from "../../dom.js";
import { ago, moment, roleName } from "../../format.js";
import { avatar, badge, button, card, empty } from "../../parts.js";
import { complain, toast } from "../../toast.js";
import { View } from "../../view.js";
import { handOver } from "./invite.js";

class InvitesCard extends View {
  static types = new Set(["INVITE_SENT", "INVITE_ACCEPTED", "INVITE_REVOKED", "USER_JOINED"]);
  lines = 2;
  #limit = 50;
  #list = h("ul", { class: "list table" });
  #none = empty("No invite is open", "People whom you invite stand here until they accept.");
  #more = button("Show more", () => this.#all());

  build() {
    return [card("Pending invites", { note: "Each holds a seat, and works for 24 hours." }, this.#list, this.#none, this.#more)];
  }

  load(signal) {
    return api.get("users/invites", { limit: this.#limit }, { signal, whole: true });
  }

  show({ data, nextCursor }) {
    fillList(this.#list, data, ({ id }) => id, (each) => this.#row(each));
    this.#none.hidden = data.length > 0;
    this.#more.hidden = !nextCursor || this.#limit === 100;
  }

  #all() {
    this.#limit = 100;
    this.reload();
  }

  #row(each) {
    const { id, email, invitedBy, expiresAt, expired } = each;
    return h(
      "li",
      {},
      avatar(email),
      h("div", { class: "what" }, h("strong", { class: "clip" }, email), h("span", { class: "fine" }, `Invited by ${invitedBy.name}`)),
      expired
        ? h("span", {}, badge("Expired", "warn"))
        : h("time", { class: "fine since", datetime: expiresAt, title: moment(expiresAt) }, `Expires ${ago(expiresAt)}`),
      badge(roleName(each)),
      h(
        "div",
        { class: "acts" },
        button("Send again", ({ currentTarget }) => this.#resend(id, email, currentTarget), { kind: "plain", name: `Send again to ${email}` }),
        button("Revoke", () => this.#revoke(id, email), { kind: "plain bad", name: `Revoke the invite of ${email}` }),
      ),
    );
  }

  async #resend(id, email, pressed) {
    pressed.disabled = true;
    try {
      const sent = await api.post(`users/invites/${id}/resend`);
      if (sent.token) handOver([sent]);
      else if (this.isConnected) toast(`${email} has been sent a new link. The old one works no more.`, { kind: "good" });
      this.reload();
    } catch (error) {
      complain(error, `${email} was not sent anything`);
    } finally {
      pressed.disabled = false;
    }
  }

  async #revoke(id, email) {
    const done = await ask({
      title: "Revoke this invite?",
      text: `The link that ${email} has will work no more, and the seat becomes free.`,
      action: "Revoke",
      busy: "Revoking …",
      danger: true,
      act: () => api.delete(`users/invites/${id}`),
    });
    if (!done) return;
    toast(`The invite of ${email} has been revoked.`, { kind: "good" });
    this.reload();
  }
}

customElements.define("invites-card", InvitesCard);
