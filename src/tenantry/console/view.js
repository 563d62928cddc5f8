/**
 * What a view is: an element that loads what it shows, and again whenever something of it changes.
 *
 *   class MembersView extends View {
 *     static types = new Set(["USER_JOINED", …]);   // events after which it is loaded again
 *     build() { return [heading("Members"), this.list]; }   // once; what the data goes into
 *     load(signal) { return api.get("users", {}, { signal }); }
 *     show(members) { fillList(this.list, members, …); }    // each time
 *   }
 *   customElements.define("members-view", MembersView);
 *
 * Until the first load, and where that fails, its place is taken by a skeleton and by what to do.
 * A part of a page is a View as well, inside another one.
 */

import { fill, h } from "./dom.js";
import { live } from "./live.js";
import { failed, skeleton } from "./parts.js";
import { understood } from "./problem.js";

export class View extends HTMLElement {
  static types = new Set();

  #gone = new AbortController();
  #state = h("div", { class: "state" });
  #loaded = false;
  #loading = null;
  #again = false;

  /** Once; gives the nodes of the page. Hide or leave empty what needs data. */
  build() {
    return [];
  }

  /** Fetch what is shown. */
  async load(_signal) {}

  /** Show what was fetched; called after each load. */
  show(_data) {}

  /** How many lines stand there until it is loaded. */
  lines = 4;

  connectedCallback() {
    if (this.#gone.signal.aborted) this.#gone = new AbortController();
    if (!this.#loaded) fill(this, ...this.build(), this.#state);
    this.listen(live, "event", ({ detail }) => this.hear(detail));
    this.listen(live, "resync", () => this.reload());
    this.reload();
  }

  disconnectedCallback() {
    this.#gone.abort();
  }

  /** Aborted when the view is left. */
  get signal() {
    return this.#gone.signal;
  }

  /** Listen for as long as the view is there. */
  listen(target, type, act) {
    target.addEventListener(type, act, { signal: this.signal });
  }

  /** Load it again every so many milliseconds, while the page is in sight. */
  every(milliseconds) {
    const timer = setInterval(() => document.hidden || this.reload(), milliseconds);
    this.signal.addEventListener("abort", () => clearInterval(timer));
  }

  /** An event of the organisation: {type, payload, seq, at}. */
  hear({ type }) {
    if (this.constructor.types.has(type)) this.reload();
  }

  /** Load and show it again; one load at a time, and one more where something came meanwhile. */
  reload() {
    if (this.#loading) {
      this.#again = true;
      return this.#loading;
    }
    this.#loading = this.#load().finally(() => {
      this.#loading = null;
      if (!this.#again || this.signal.aborted) return;
      this.#again = false;
      this.reload();
    });
    return this.#loading;
  }

  async #load() {
    const { signal } = this;
    if (!this.#loaded) fill(this.#state, skeleton(this.lines));
    this.toggleAttribute("data-loading", !this.#loaded);
    try {
      const data = await this.load(signal);
      if (signal.aborted) return;
      this.#loaded = true;
      fill(this.#state);
      this.removeAttribute("data-loading");
      this.#showWithFocus(data);
    } catch (error) {
      if (signal.aborted) return;
      const problem = understood(error);
      fill(this.#state, this.#loaded ? this.#stale(problem) : failed(problem, () => this.reload()));
    }
  }

  /** What had the focus may be made anew, or be gone: then it goes to what stands in its place. */
  #showWithFocus(data) {
    const before = this.contains(document.activeElement) ? document.activeElement : null;
    this.show(data);
    if (!before || before.isConnected) return;
    const name = ({ ariaLabel, textContent }) => ariaLabel ?? textContent;
    const same = [...this.querySelectorAll(before.localName)].find((one) => name(one) === name(before));
    const next = same ?? this.querySelector("h2");
    if (!same) next?.setAttribute("tabindex", "-1");
    next?.focus({ preventScroll: true });
  }

  /** What is shown is not the newest. */
  #stale(problem) {
    const again = h("button", { type: "button", class: "button plain", onclick: () => this.reload() }, "Try again");
    return h("p", { class: "notice warn", role: "alert" }, `This may be out of date. ${problem.message} `, again);
  }
}
