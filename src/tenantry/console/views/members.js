/** The members: who is in the organisation and as what, and who is invited. */

import { api } from "../api.js";
import { ask } from "../dialog.js";
import { fill, fillList, h } from "../dom.js";
import { date, plural, roleName } from "../format.js";
import { field } from "../form.js";
import { icon } from "../icons.js";
import { avatar, badge, button, card, heading, notAllowed } from "../parts.js";
import { choices, chosen, given } from "../roles.js";
import { session } from "../session.js";
import { complain, toast } from "../toast.js";
import { View } from "../view.js";
import { invite } from "./members/invite.js";
import "./members/invites.js";

const MANY = 8; // members, from which on they can be searched

export default class MembersView extends HTMLElement {
  connectedCallback() {
    const open = button([icon("plus"), "Invite people"], invite, { kind: "" });
    fill(
      this,
      heading("Members", `Who belongs to ${session.organisation.name}, and as what.`, session.can("members:invite") && open),
      session.can("members:read")
        ? h("members-card")
        : card("Members", {}, notAllowed("The list of members is open to admins. On the overview you see who is online.")),
      session.can("members:invite") && h("invites-card"),
    );
  }
}

class MembersCard extends View {
  static types = new Set(["USER_JOINED", "USER_REMOVED", "USER_ROLE_CHANGED", "ROLE_CHANGED"]);
  lines = 6;
  #members = [];
  #count = h("p", { class: "soft number" });
  #list = h("ul", { class: "list table" });
  #search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search the members", oninput: () => this.#filter(), hidden: true });

  build() {
    const section = card("Members", { actions: [this.#search] }, this.#list);
    section.querySelector("h2").after(this.#count);
    return [section];
  }

  load(signal) {
    return api.get("users", {}, { signal });
  }

  show(members) {
    this.#members = members;
    fill(this.#count, plural(members.length, "person", "people"));
    this.#search.hidden = members.length < MANY;
    this.#filter();
  }

  #filter() {
    const wanted = this.#search.value.trim().toLowerCase();
    const found = this.#members.filter(({ name, email }) => `${name} ${email}`.toLowerCase().includes(wanted));
    fillList(this.#list, found, ({ id }) => id, (member) => this.#row(member));
    if (!found.length) fill(this.#list, h("li", { class: "soft" }, "Nobody is called that."));
  }

  #row(member) {
    const { id, name, email, createdAt } = member;
    const me = id === session.me.id;
    const ofOwners = member.role === "ADMIN" || me;
    const change = session.can("members:change-role") && (session.membership.owner || !ofOwners);
    const remove = session.can("members:remove") && !ofOwners;
    return h(
      "li",
      {},
      avatar(name),
      h("div", { class: "what" }, h("strong", {}, name, me && h("span", { class: "soft" }, " (you)")), h("span", { class: "fine clip" }, email)),
      h("span", { class: "fine since" }, `Joined ${date(createdAt)}`),
      badge(roleName(member), member.owner ? "accent" : ""),
      h(
        "div",
        { class: "acts" },
        change && button("Change role", () => this.#change(member), { kind: "plain", name: `Change role of ${name}` }),
        remove && button("Remove", () => this.#remove(member), { kind: "plain bad", name: `Remove ${name}` }),
      ),
    );
  }

  async #change(member) {
    const before = chosen(member);
    const roles = await choices({ owner: true }).catch((error) => complain(error, "The roles could not be loaded"));
    if (!roles || this.signal.aborted) return;
    const done = await ask({
      title: `What is ${member.name} to be?`,
      text: "It takes effect at once, with whatever they do next.",
      fields: [field("Role", { name: "role", options: roles, value: before })],
      action: "Change the role",
      busy: "Changing …",
      act: ({ role }) => api.patch(`users/${member.id}`, given(role)),
    });
    if (done) this.#done(`${member.name} has another role.`);
  }

  async #remove({ id, name }) {
    const done = await ask({
      title: `Remove ${name}?`,
      text: `${name} loses access to ${session.organisation.name} at once, on all devices. The seat becomes free.`,
      action: "Remove",
      busy: "Removing …",
      danger: true,
      act: () => api.delete(`users/${id}`),
    });
    if (done) this.#done(`${name} has been removed.`);
  }

  #done(text) {
    toast(text, { kind: "good" });
    this.reload();
  }
}

customElements.define("members-card", MembersCard);
customElements.define("members-view", MembersView);
