/** The roles that the organisation defines itself, where its plan has them. */

import { api } from "../../api.js";
import { ask } from "../../dialog.js";
import { fill, fillList, h } from "../../dom.js";
import { planName, plural } from "../../format.js";
import { checkboxes, field } from "../../form.js";
import { badge, button, card, empty } from "../../parts.js";
import { permissionName } from "../../roles.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";

class RolesCard extends View {
  static types = new Set(["ROLE_CREATED", "ROLE_CHANGED", "ROLE_DELETED", "USER_ROLE_CHANGED", "USER_JOINED", "USER_REMOVED", "PLAN_UPGRADED", "PLAN_DOWNGRADED"]);
  lines = 3;
  #may = session.can("roles:manage");
  #permissions = []; // what a role can have that members do not have anyway
  #list = h("ul", { class: "list" });
  #none = h("div", {});
  #add = button("New role", () => this.#create(), { hidden: true });

  build() {
    return [card("Custom roles", { note: "Members who may do more, without being admins.", actions: [this.#add] }, this.#list, this.#none)];
  }

  load(signal) {
    return Promise.all(["organisations", "organisations/plans", "organisations/roles", "organisations/permissions"].map((path) => api.get(path, {}, { signal })));
  }

  show([{ subscriptionPlan }, plans, roles, permissions]) {
    this.#permissions = permissions.filter(({ ofMembers }) => !ofMembers).map(({ name }) => name);
    const having = plans.filter(({ customRoles }) => customRoles).map(({ name }) => name);
    const inPlan = having.includes(subscriptionPlan);
    this.#add.hidden = !this.#may || !inPlan;
    fillList(this.#list, roles, ({ id }) => id, (role) => this.#row(role));
    fill(this.#none, !inPlan ? notInPlan(subscriptionPlan, having) : !roles.length && empty("No custom role yet", this.#may ? "A role of your own is a choice of what its members may do." : "There are owners, admins and members."));
  }

  #row(role) {
    const { name, permissions, members } = role;
    // Nobody gives or takes what they do not have.
    const change = this.#may && permissions.every((permission) => session.can(permission));
    return h(
      "li",
      {},
      h(
        "div",
        { class: "what" },
        h("div", { class: "row" }, h("strong", {}, name), badge(members ? plural(members, "member") : "Nobody yet")),
        h("span", { class: "fine" }, permissions.length ? permissions.map(permissionName).join(" · ") : "May do what every member may"),
      ),
      change &&
        h(
          "div",
          { class: "acts" },
          button("Change", () => this.#change(role), { kind: "plain", name: `Change the role ${name}` }),
          button("Delete", () => this.#delete(role), { kind: "plain bad", name: `Delete the role ${name}` }),
        ),
    );
  }

  #fields({ name = "", permissions = [] } = {}) {
    const options = this.#permissions.map((each) => [each, permissionName(each), { checked: permissions.includes(each), disabled: !session.can(each) }]);
    return [
      field("Name of the role", { name: "name", value: name, required: true, minlength: 2, maxlength: 50, wrong: "Enter a name of 2 characters or more." }),
      checkboxes("What it may do", { name: "permissions", options, hint: options.some(([, , { disabled }]) => disabled) ? "You can give only what you may do yourself." : null }),
    ];
  }

  async #create() {
    const done = await ask({
      title: "New role",
      text: "Whoever has it may do what every member may, and beyond that what you tick.",
      fields: this.#fields(),
      action: "Create the role",
      busy: "Creating …",
      act: (values) => api.post("organisations/roles", values),
    });
    if (done) this.#done("The role is there. Give it to somebody under Members.");
  }

  async #change(role) {
    const done = await ask({
      title: `Change ${role.name}`,
      text: role.members ? `It takes effect at once, for the ${plural(role.members, "member")} who ${role.members === 1 ? "has" : "have"} it.` : "Nobody has it yet.",
      fields: this.#fields(role),
      action: "Save",
      busy: "Saving …",
      act: (values) => api.patch(`organisations/roles/${role.id}`, values),
    });
    if (done) this.#done("The role has been changed.");
  }

  async #delete({ id, name, members }) {
    const done = await ask({
      title: `Delete ${name}?`,
      text: members ? `${plural(members, "member")} ${members === 1 ? "has" : "have"} it. Give them another role under Members first.` : "Nobody has it, so nobody loses anything.",
      action: "Delete the role",
      busy: "Deleting …",
      danger: true,
      act: () => api.delete(`organisations/roles/${id}`),
    });
    if (done) this.#done(`${name} has been deleted.`);
  }

  #done(text) {
    toast(text, { kind: "good" });
    this.reload();
  }
}

function notInPlan(plan, having) {
  const others = having.map(planName).join(" or ");
  const text = others ? `Custom roles are part of the ${others} plan; ${session.organisation.name} is on ${planName(plan)}.` : "No plan has custom roles here.";
  return empty(`Not in the ${planName(plan)} plan`, text, others && h("a", { class: "button quiet", href: "/console/plan" }, session.can("plan:change") ? "Compare and change" : "Compare the plans"));
}

customElements.define("roles-card", RolesCard);
