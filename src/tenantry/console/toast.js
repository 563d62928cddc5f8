/** Short messages that come and go, read out by screen readers as they come. */

import { h } from "./dom.js";
import { icon } from "./icons.js";
import { understood } from "./problem.js";

const SHOWN = 7000; // milliseconds

const list = h("div", { class: "toasts", role: "status", "aria-live": "polite", popover: "manual" });
document.body.append(list);

/** They are of an organisation; nothing of one is to be read in another. */
export function clearToasts() {
  for (const close of list.querySelectorAll("button")) close.click();
}

/**
 * `kind` is "", "good" or "bad"; what is bad stays until it is closed. `title` stands above the text.
 */
export function toast(text, { kind = "", title = null } = {}) {
  const message = h(
    "div",
    { class: `toast ${kind}` },
    h("div", {}, title && h("p", { class: "strong" }, title), h("p", {}, text)),
    h("button", { type: "button", class: "button plain", "aria-label": "Close this message", onclick: close }, icon("close")),
  );
  let timer;
  const wait = () => (timer = kind === "bad" ? 0 : setTimeout(close, SHOWN));
  for (const on of ["pointerenter", "focusin"]) message.addEventListener(on, () => clearTimeout(timer));
  for (const off of ["pointerleave", "focusout"]) message.addEventListener(off, wait);
  function close() {
    clearTimeout(timer);
    message.remove();
    if (!list.childElementCount) list.hidePopover();
  }
  list.append(message);
  // Shown anew, it is above a dialog that has been opened since.
  if (list.matches(":popover-open")) list.hidePopover();
  list.showPopover();
  wait();
  return close;
}

/** What went wrong with something that was pressed. */
export function complain(error, title) {
  const { code, message } = understood(error);
  if (code !== "GONE") toast(message, { kind: "bad", title });
}
