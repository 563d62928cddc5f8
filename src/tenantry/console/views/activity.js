/** The activity feed: everything that happened, as it happens; older lines come as one scrolls. */

import { api } from "../api.js";
import { fill, fillList, h } from "../dom.js";
import { clock, date, moment, told } from "../format.js";
import { avatar, button, card, empty, heading } from "../parts.js";
import { understood } from "../problem.js";
import { session } from "../session.js";
import { toast } from "../toast.js";
import { View } from "../view.js";

const PAGE = 30;
const KINDS = {
  Everything: [],
  Members: ["USER_JOINED", "USER_REMOVED", "USER_ROLE_CHANGED"],
  Invites: ["INVITE_SENT", "INVITE_ACCEPTED", "INVITE_REVOKED"],
  Broadcasts: ["BROADCAST_MESSAGE"],
  Roles: ["ROLE_CREATED", "ROLE_CHANGED", "ROLE_DELETED"],
  Plan: ["PLAN_UPGRADED", "PLAN_DOWNGRADED"],
  Organisation: ["ORGANISATION_CHANGED", "ORGANISATION_DELETED", "ORGANISATION_RESTORED"],
};

export default class ActivityView extends View {
  lines = 10;
  #shown = []; // the activities, the newest first
  #older = null; // the cursor that leads on; null at the end
  #kind = choice("Kind", Object.keys(KINDS).map((name) => [name, name]), () => this.#anew());
  #person = choice("By", [["", "Everybody"]], () => this.#anew());
  #list = h("ul", { class: "list feed" });
  #more = button("Show older", () => this.#fetchOlder());

  build() {
    this.#people();
    const end = h("div", { class: "end" }, this.#more);
    const watch = new IntersectionObserver(([seen]) => seen.isIntersecting && this.#fetchOlder(), { rootMargin: "400px" });
    watch.observe(end);
    this.signal.addEventListener("abort", () => watch.disconnect());
    this.#more.hidden = true;
    return [heading("Activity", "What happened, as it happens."), card("Feed", { actions: [h("div", { class: "row" }, this.#kind, this.#person)] }, this.#list, end)];
  }

  hear() {
    this.reload();
  }

  /** The newest page, or what is newer than what is shown: every line once. */
  async load(signal) {
    const filter = this.#filter();
    if (!this.#shown.length) {
      const { data, nextCursor } = await this.#fetch({ limit: PAGE }, signal);
      return { filter, shown: data, older: nextCursor };
    }
    let newer = [];
    for (let after = this.#shown[0].seq; after !== null; ) {
      const { data, nextCursor } = await this.#fetch({ after, limit: 100 }, signal);
      newer = [...data, ...newer];
      after = nextCursor;
    }
    return { filter, newer };
  }

  show({ filter, shown, older, newer }) {
    if (filter !== this.#filter()) return void this.reload(); // chosen meanwhile
    if (shown) [this.#shown, this.#older] = [shown, older];
    else this.#shown = [...newer, ...this.#shown];
    this.#draw();
  }

  #draw() {
    fillList(this.#list, withDays(this.#shown), ({ day, seq }) => day ?? seq, (line) => (line.day ? h("li", { class: "day" }, h("h3", {}, line.day)) : row(line)));
    if (!this.#shown.length) fill(this.#list, h("li", {}, empty("Nothing here", "Nothing of this kind has happened yet.")));
    this.#more.hidden = this.#older === null;
  }

  /** Another choice: all of it again. */
  #anew() {
    this.#shown = [];
    this.#older = null;
    this.reload();
  }

  async #fetchOlder() {
    if (this.#older === null || this.#more.disabled) return;
    this.#more.disabled = true;
    const filter = this.#filter();
    try {
      const { data, nextCursor } = await this.#fetch({ before: this.#older, limit: PAGE }, this.signal);
      if (filter !== this.#filter()) return;
      this.#shown = [...this.#shown, ...data];
      this.#older = nextCursor;
      this.#draw();
    } catch (error) {
      if (!this.signal.aborted) toast(understood(error).message, { kind: "bad", title: "Older lines could not be loaded" });
    } finally {
      this.#more.disabled = false;
    }
  }

  #fetch(query, signal) {
    const [kind, actor] = this.#chosen();
    return api.get("activities", { ...query, type: KINDS[kind], actor }, { signal, whole: true });
  }

  #chosen() {
    return [this.#kind, this.#person].map((label) => label.querySelector("select").value);
  }

  #filter() {
    return this.#chosen().join();
  }

  /** Who can be chosen: those who may read the list of members choose among them. */
  async #people() {
    this.#person.hidden = !session.can("members:read");
    if (this.#person.hidden) return;
    const members = await api.get("users", {}, { signal: this.signal }).catch(() => []);
    this.#person.querySelector("select").append(...members.map(({ id, name }) => h("option", { value: id }, name)));
  }
}

function choice(label, options, onchange) {
  const id = `choose-${label.toLowerCase()}`;
  const select = h("select", { id, onchange }, options.map(([value, text]) => h("option", { value }, text)));
  return h("div", { class: "choice" }, h("label", { for: id }, label), select);
}

/** The lines, with the day above the first of each. */
function withDays(activities) {
  let last = null;
  return activities.flatMap((activity) => {
    const day = dayOf(activity.createdAt);
    const lines = day === last ? [activity] : [{ day }, activity];
    last = day;
    return lines;
  });
}

function dayOf(time) {
  const days = Math.round((new Date().setHours(0, 0, 0, 0) - new Date(time).setHours(0, 0, 0, 0)) / 86_400_000);
  return ["Today", "Yesterday"][days] ?? date(time);
}

function row(activity) {
  const { actor, createdAt } = activity;
  const open = h(
    "details",
    {},
    h(
      "summary",
      {},
      avatar(actor?.name ?? "T"),
      h("span", { class: "what" }, told(activity)),
      h("time", { class: "fine number", datetime: createdAt, title: moment(createdAt) }, clock(createdAt)),
    ),
  );
  open.addEventListener("toggle", () => open.append(details(activity)), { once: true });
  return h("li", {}, open);
}

const person = ({ name, email }) => (email ? `${name} (${email})` : name);

function details({ seq, type, actor, target, metadata, createdAt }) {
  const known = { When: moment(createdAt), By: actor && person(actor), About: target && person(target), Kind: type, Number: `#${seq}` };
  return h(
    "dl",
    { class: "facts" },
    [...Object.entries(known), ...Object.entries(metadata ?? {})].map(([name, value]) => value && [h("dt", {}, name), h("dd", {}, plain(value))]),
  );
}

const plain = (value) => (typeof value === "object" ? JSON.stringify(value) : String(value));

customElements.define("activity-view", ActivityView);
