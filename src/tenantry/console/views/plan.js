/** The plans: what each has, which one it is, and what a change would need. */

import { api } from "../api.js";
import { ask } from "../dialog.js";
import { fillList, h } from "../dom.js";
import { capital, planName, plural } from "../format.js";
import { icon } from "../icons.js";
import { badge, button, heading } from "../parts.js";
import { session } from "../session.js";
import { toast } from "../toast.js";
import { View } from "../view.js";

export default class PlanView extends View {
  static types = new Set(["PLAN_UPGRADED", "PLAN_DOWNGRADED", "USER_JOINED", "USER_REMOVED", "ROLE_CREATED", "ROLE_DELETED"]);
  #plans = h("ul", { class: "plans" });

  build() {
    const lead = session.can("plan:change")
      ? "A change takes effect at once, up or down."
      : "This is what there is. An admin can change the plan.";
    return [heading("Plan", lead), this.#plans];
  }

  async load(signal) {
    const [plans, organisation, roles] = await Promise.all([
      api.get("organisations/plans", {}, { signal }),
      api.get("organisations", {}, { signal }),
      api.get("organisations/roles", {}, { signal }),
    ]);
    const present = plans.findIndex(({ name }) => name === organisation.subscriptionPlan);
    return plans.map((plan, place) => ({
      ...plan,
      present: place === present,
      larger: place > present,
      needs: place < present ? needs(plan, organisation.memberCount, roles.length) : [],
    }));
  }

  show(plans) {
    fillList(this.#plans, plans, ({ name }) => name, (plan) => this.#plan(plan));
  }

  #plan({ name, seats, customRoles, entitlements, present, larger, needs: needed }) {
    return h(
      "li",
      { class: present ? "card present" : "card" },
      h("div", { class: "row apart" }, h("h2", {}, planName(name)), present && badge("Your plan", "accent")),
      h("p", { class: "figure number" }, seats === null ? "Unlimited seats" : plural(seats, "seat")),
      h(
        "ul",
        { class: "features" },
        feature("Custom roles", customRoles),
        Object.entries(entitlements).map(([what, { allowed, limit = null, per }]) =>
          feature(capital(what.replaceAll("_", " ")), allowed, limit === null ? "" : `${limit}${per ? ` a ${per}` : ""}`),
        ),
      ),
      needed.length > 0 && h("div", { class: "notice" }, h("p", { class: "strong" }, "Before a change to it:"), needed.map((each) => h("p", {}, each))),
      !present && !needed.length && session.can("plan:change") &&
        button(larger ? `Upgrade to ${planName(name)}` : `Change to ${planName(name)}`, () => this.#change(name, larger), { kind: larger ? "" : "quiet" }),
    );
  }

  async #change(plan, larger) {
    const name = planName(plan);
    const done = await ask({
      title: `Change to the ${name} plan?`,
      text: larger ? "What it has more is there at once." : "What it does not have is gone at once. You can change back at any time.",
      action: larger ? "Upgrade" : "Change the plan",
      busy: "Changing …",
      act: () => api.patch("organisations/subscription", { plan }),
    });
    if (!done) return;
    toast(`${session.organisation.name} is on the ${name} plan.`, { kind: "good" });
    this.reload();
  }
}

/** What stands against a smaller plan. */
function needs({ seats, customRoles }, members, roles) {
  const found = [];
  if (seats !== null && members > seats) found.push(`${plural(members - seats, "member")} must leave or be removed.`);
  if (!customRoles && roles) found.push(`${plural(roles, "custom role")} must be deleted.`);
  return found;
}

const feature = (name, allowed, amount = "") =>
  h("li", { class: allowed ? "" : "soft" }, icon(allowed ? "check" : "minus"), h("span", {}, name, amount && h("span", { class: "soft number" }, ` ${amount}`), !allowed && h("span", { class: "unseen" }, " not included")));

customElements.define("plan-view", PlanView);
