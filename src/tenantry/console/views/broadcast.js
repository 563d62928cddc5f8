/** Broadcasts: a word to everybody in the organisation, and what has been said so far. */

import { api } from "../api.js";
import { fill, fillList, h } from "../dom.js";
import { field, form } from "../form.js";
import { live } from "../live.js";
import { avatar, badge, button, card, empty, heading, notAllowed, when } from "../parts.js";
import { session } from "../session.js";
import { View } from "../view.js";

const LONGEST = 4000; // characters that the API takes
const PAGE = 20;
const MOST = 100;
const PRESENCE_EVERY = 30_000; // milliseconds; connections come and go without an event

export default class BroadcastView extends HTMLElement {
  connectedCallback() {
    fill(
      this,
      heading("Broadcast", `A word to everybody in ${session.organisation.name}.`),
      session.can("broadcast:send")
        ? h("compose-card")
        : h("section", { class: "card" }, notAllowed("Admins write to everybody, and whoever has a role that may. What they write arrives here.")),
      h("broadcasts-card"),
    );
  }
}

class ComposeCard extends View {
  static types = new Set(["USER_JOINED", "USER_REMOVED"]);
  lines = 3;
  #reach = h("p", { class: "soft" });
  #left = h("span", { class: "fine number" });
  #form = form({
    fields: [field("Message", { name: "message", rows: 4, oninput: () => this.#count() })],
    action: "Send to everybody",
    busy: "Sending …",
    beside: [this.#left],
    onsubmit: (values) => this.#send(values),
  });

  build() {
    this.#count();
    const section = card("Write to everybody", {}, this.#form);
    section.querySelector("h2").after(this.#reach);
    return [section];
  }

  connectedCallback() {
    super.connectedCallback();
    this.every(PRESENCE_EVERY);
    this.listen(live, "state", () => this.reload());
  }

  async load(signal) {
    const [{ memberCount }, present] = await Promise.all([
      api.get("organisations", {}, { signal }),
      api.get("realtime/presence", {}, { signal }),
    ]);
    return { members: memberCount, online: present.filter(({ id }) => id !== session.me.id).length };
  }

  show({ members, online }) {
    fill(this.#reach, `${reach(members, online)} It is not mailed, and cannot be taken back.`);
  }

  /** Characters as the API counts them: an emoji is one. */
  #count() {
    const { message } = this.#form.elements;
    const length = [...message.value].length;
    const over = length - LONGEST;
    message.setCustomValidity(
      over > 0 ? `This is ${number(over)} ${over === 1 ? "character" : "characters"} too long.` : message.value.trim() ? "" : "Write a message first.",
    );
    this.#left.classList.toggle("over", over > 0);
    fill(this.#left, over > 0 ? `${number(over)} over ${number(LONGEST)} characters` : `${number(length)} of ${number(LONGEST)} characters`);
  }

  async #send({ message }) {
    await api.post("organisations/broadcast", { message });
    const written = this.#form.elements.message;
    if (written.value === message) this.#form.reset(); // what has been written meanwhile stays
    this.#count();
    written.focus();
    document.querySelector("broadcasts-card")?.reload(); // where the stream is not there to tell
  }
}

/** `online`: how many others are. */
function reach(members, online) {
  if (members === 1) return "You are the only member so far: nobody else receives it.";
  const all = `It goes to all ${members} members.`;
  if (online === members - 1) return `${all} Everybody is online, and sees it at once.`;
  if (!online) return `${all} Nobody else is online just now; they see it when they come back.`;
  return `${all} ${online === 1 ? "1 other is online, and sees" : `${online} others are online, and see`} it at once; the rest when they come back.`;
}

const number = (value) => value.toLocaleString("en-GB");

class BroadcastsCard extends View {
  static types = new Set(["BROADCAST_MESSAGE"]);
  #limit = PAGE;
  #list = h("ul", { class: "list messages" });
  #more = button("Show older", () => this.#older());
  #rest = h("a", { href: "/console/activity" }, "All activity");

  build() {
    return [card("Broadcasts", { note: "The latest first, as they arrive." }, this.#list, h("div", { class: "end" }, this.#more, this.#rest))];
  }

  load(signal) {
    return api.get("activities", { type: "BROADCAST_MESSAGE", limit: this.#limit }, { signal, whole: true });
  }

  show({ data, nextCursor }) {
    fillList(this.#list, data, ({ seq }) => seq, row);
    if (!data.length) fill(this.#list, h("li", {}, empty("Nobody has written yet", "What is written to everybody stands here.")));
    this.#more.hidden = nextCursor === null || this.#limit === MOST;
    this.#rest.hidden = nextCursor === null || this.#limit < MOST;
  }

  #older() {
    this.#limit = Math.min(MOST, this.#limit + 2 * PAGE);
    this.reload();
  }
}

function row({ actor, message, createdAt }) {
  const name = actor?.name ?? "Former member";
  return h(
    "li",
    {},
    avatar(name),
    h(
      "div",
      { class: "what" },
      h("div", { class: "row" }, h("strong", {}, name), actor?.id === session.me.id && badge("You"), h("span", { class: "fine" }, when(createdAt))),
      h("p", { class: "said" }, message),
    ),
  );
}

customElements.define("compose-card", ComposeCard);
customElements.define("broadcasts-card", BroadcastsCard);
customElements.define("broadcast-view", BroadcastView);
