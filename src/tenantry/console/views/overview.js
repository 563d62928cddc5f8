/** The overview: the plan and its seats, who is here, and what happens. */

import { api } from "../api.js";
import { fill, fillList, h } from "../dom.js";
import { planName, plural, roleName, told } from "../format.js";
import { live } from "../live.js";
import { avatar, badge, card, empty, heading, meter, when } from "../parts.js";
import { asWhat } from "../roles.js";
import { session } from "../session.js";
import { View } from "../view.js";

const SEATS = ["USER_JOINED", "USER_REMOVED", "INVITE_SENT", "INVITE_REVOKED"];
const LATEST = 8;
const NAMED = 6; // of those who are online; the others are counted
const PRESENCE_EVERY = 30_000; // milliseconds; connections come and go without an event

class PlanCard extends View {
  static types = new Set([...SEATS, "PLAN_UPGRADED", "PLAN_DOWNGRADED"]);
  lines = 2;
  #seats = h("div", { class: "stack" });

  build() {
    const change = session.can("plan:change") ? "Compare and change" : "Compare";
    return [card("Plan", { actions: [h("a", { href: "/console/plan" }, change)] }, this.#seats)];
  }

  /** Open invites hold seats as well; how many, only those who may invite are told. */
  async load(signal) {
    const [organisation, invites] = await Promise.all([
      api.get("organisations", {}, { signal }),
      session.can("members:invite") ? api.get("users/invites", { limit: 100 }, { signal }) : [],
    ]);
    return { ...organisation, invited: invites.filter(({ expired }) => !expired).length };
  }

  show({ subscriptionPlan, memberCount, memberLimit, invited }) {
    const used = memberCount + invited;
    const seats = memberLimit === null ? "As many seats as you need" : `${used} of ${plural(memberLimit, "seat")} in use`;
    fill(
      this.#seats,
      h("div", { class: "row apart" }, h("p", { class: "figure" }, planName(subscriptionPlan)), h("p", { class: "number" }, seats)),
      memberLimit !== null && meter("Seats in use", used, memberLimit),
      h("p", { class: "fine number" }, plural(memberCount, "member"), invited > 0 && ` and ${plural(invited, "open invite")}`),
    );
  }
}

class PresenceCard extends View {
  lines = 2;
  #list = h("ul", { class: "list" });

  build() {
    return [card("Online now", {}, this.#list)];
  }

  connectedCallback() {
    super.connectedCallback();
    this.every(PRESENCE_EVERY);
    this.listen(live, "state", () => this.reload());
  }

  hear() {
    this.reload(); // whoever did something is here
  }

  load(signal) {
    return api.get("realtime/presence", {}, { signal });
  }

  show(present) {
    const named = present.slice(0, NAMED).map(({ id, name, role, owner, customRole }) => ({ id, name, role: roleName({ role, owner, customRole }) }));
    const others = present.length - named.length;
    const lines = others ? [...named, { others }] : named;
    fillList(this.#list, lines, ({ id }) => id, (line) => (line.id ? this.#row(line) : h("li", { class: "soft" }, `And ${plural(line.others, "other")}.`)));
    if (!present.length) fill(this.#list, h("li", { class: "soft" }, "Nobody is connected just now."));
  }

  #row({ id, name, role }) {
    return h(
      "li",
      {},
      avatar(name),
      h("div", { class: "what" }, h("strong", {}, name), h("span", { class: "fine" }, role)),
      id === session.me.id && badge("You"),
    );
  }
}

class LatestCard extends View {
  lines = 6;
  #list = h("ul", { class: "list" });

  build() {
    return [card("Latest activity", { actions: [h("a", { href: "/console/activity" }, "All activity")] }, this.#list)];
  }

  hear() {
    this.reload();
  }

  load(signal) {
    return api.get("activities", { limit: LATEST }, { signal });
  }

  show(activities) {
    fillList(this.#list, activities, ({ seq }) => seq, (activity) =>
      h(
        "li",
        {},
        avatar(activity.actor?.name ?? "T"),
        h("div", { class: "what" }, h("span", {}, told(activity)), h("span", { class: "fine" }, when(activity.createdAt))),
      ),
    );
    if (!activities.length) fill(this.#list, h("li", {}, empty("Nothing yet", "What happens here is listed as it happens.")));
  }
}

export default class OverviewView extends HTMLElement {
  connectedCallback() {
    const greeting = `Hello, ${session.me.name.split(" ")[0]}`;
    fill(
      this,
      heading("Overview", `${greeting}. You are ${asWhat(session.membership)} of ${session.organisation.name}.`),
      h("div", { class: "columns" }, h("plan-card"), h("presence-card")),
      h("latest-card"),
    );
  }
}

customElements.define("plan-card", PlanCard);
customElements.define("presence-card", PresenceCard);
customElements.define("latest-card", LatestCard);
customElements.define("overview-view", OverviewView);
