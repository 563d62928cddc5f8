/** Small things that views are put together from. */

import { h } from "./dom.js";
import { ago, initials, moment } from "./format.js";

/** A button, which does one thing at a time; `kind` is "", "quiet", "plain" or "danger". */
export function button(label, onclick, { kind = "quiet", name = null, ...attributes } = {}) {
  let acting = false;
  async function press(event) {
    if (acting) return;
    acting = true;
    try {
      await onclick(event);
    } finally {
      acting = false;
    }
  }
  return h("button", { type: "button", class: `button ${kind}`, onclick: press, "aria-label": name, ...attributes }, label);
}

/** A framed part of a page, under a heading of its own; `actions` stand beside the heading. */
export function card(title, { actions = [], note = null } = {}, ...children) {
  return h(
    "section",
    { class: "card" },
    h("div", { class: "card-head" }, h("div", {}, h("h2", {}, title), note && h("p", { class: "soft" }, note)), actions),
    ...children,
  );
}

/** A person's mark; it says nothing to a screen reader, as the name stands beside it. */
export const avatar = (name) => h("span", { class: "avatar", "aria-hidden": "true" }, initials(name));

/** `kind` is "", "good", "warn" or "bad". */
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** A time as "3 minutes ago", which the page keeps true; the whole of it when pointed at. */
export const when = (time) => h("time", { datetime: time, title: moment(time), "data-ago": true }, ago(time));

setInterval(() => {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const text = ago(time.dateTime);
    if (time.textContent !== text) time.textContent = text;
  }
}, 15_000);

/** What stands where there is nothing yet. */
export function empty(title, text, ...actions) {
  return h("div", { class: "empty" }, h("p", { class: "strong" }, title), h("p", { class: "soft" }, text), ...actions);
}

/** What stands in place of what is being loaded: as many lines. */
export function skeleton(lines = 3) {
  return h(
    "div",
    { class: "skeleton", role: "status" },
    h("span", { class: "unseen" }, "Loading …"),
    Array.from({ length: lines }, () => h("span", { class: "bone" })),
  );
}

/** What could not be loaded, why, and what to do about it. */
export function failed(problem, again) {
  if (problem.code === "SECOND_FACTOR_REQUIRED")
    return h(
      "div",
      { class: "empty" },
      h("p", { class: "strong" }, "A second factor is needed here"),
      h("p", { class: "soft" }, "This organisation asks its members for one. Add it to your account, or sign in with it."),
      h("a", { class: "button", href: "/console/account" }, "Open your account"),
    );
  return h(
    "div",
    { class: "empty", role: "alert" },
    h("p", { class: "strong" }, "This could not be loaded"),
    h("p", { class: "soft" }, problem.message),
    problem.requestId && h("p", { class: "fine" }, `Request ${problem.requestId}`),
    button("Try again", again),
  );
}

/** What somebody may not see, told kindly. */
export function notAllowed(text) {
  return empty("This is for admins", text);
}

/** How much of something is used. */
export function meter(label, value, limit) {
  const share = Math.min(1, value / Math.max(limit, 1));
  const bar = h("span", { class: share >= 1 ? "meter full" : share >= 0.8 ? "meter nearly" : "meter" });
  bar.style.setProperty("--share", `${100 * share}%`);
  return h(
    "div",
    { class: "metered", role: "meter", "aria-label": label, "aria-valuemin": 0, "aria-valuenow": value, "aria-valuemax": Math.max(limit, value), "aria-valuetext": `${value} of ${limit}` },
    bar,
  );
}

/** Something to take along: a link, a secret, codes. */
export function copyable(text, what) {
  const copy = h("button", { type: "button", class: "button quiet", "aria-label": `Copy ${what}`, onclick: take }, "Copy");
  async function take() {
    await navigator.clipboard.writeText(text);
    copy.textContent = "Copied";
  }
  return h("div", { class: "copyable" }, h("code", {}, text), navigator.clipboard && copy);
}

/** A page's heading, with what can be done on the page beside it. */
export function heading(title, lead = null, ...actions) {
  return h(
    "header",
    { class: "page-head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), lead && h("p", { class: "soft" }, lead)),
    h("div", { class: "row" }, actions),
  );
}
