/** Dialogs: the browser's own, which keep the focus and go with Escape. */

import { h } from "./dom.js";
import { form } from "./form.js";
import { icon } from "./icons.js";
import { complain } from "./toast.js";

/**
 * Opens one with these contents; `onclose` is told when it has gone, by whatever way. While a form in it
 * is being sent it stays: what is under way cannot be cancelled. `once`: what it shows is not shown again,
 * so only its buttons close it; neither Escape nor a click beside it nor a change of the page does.
 */
export function openDialog(title, contents, { onclose = () => {}, once = false } = {}) {
  const closedby = once ? "none" : "any";
  const close = h("button", { type: "button", class: "button plain", "aria-label": "Close", onclick: () => dialog.close() }, icon("close"));
  const dialog = h(
    "dialog",
    { "aria-labelledby": "dialog-title", closedby, "data-once": once, onclose: gone, onsending: stay, oncancel: keep },
    h("div", { class: "dialog-head" }, h("h2", { id: "dialog-title" }, title), close),
    contents,
    once && h("div", { class: "row" }, h("button", { type: "button", class: "button", onclick: () => dialog.close() }, "Done")),
  );
  let sending = false;
  function stay({ detail }) {
    sending = detail;
    dialog.setAttribute("closedby", sending ? "none" : closedby);
    for (const button of dialog.querySelectorAll("button[type=button]")) button.disabled = sending;
  }
  function keep(event) {
    if (sending || once) event.preventDefault(); // where `closedby` is not known
  }
  function gone() {
    dialog.remove();
    onclose();
  }
  document.body.append(dialog);
  dialog.showModal();
  dialog.querySelector("input, select, textarea")?.focus();
  return dialog;
}

/** Those that are about what is not shown any more. */
export function closeDialogs() {
  for (const dialog of document.querySelectorAll("dialog[open]:not([data-once])")) dialog.close();
}

/**
 * Ask before something is done. `act` is given the fields' values; while it runs the dialog stays,
 * and shows what goes wrong. Gives whether it was done, also where the page has gone on meanwhile.
 *
 *   await ask({ title: "Remove Grace?", text: "…", action: "Remove", busy: "Removing …", danger: true,
 *               act: () => api.delete(`users/${id}`) })
 */
export function ask({ title, text, action, busy = `${action} …`, act, fields = [], danger = false }) {
  return new Promise((resolve) => {
    let done = false; // or what will say so
    const cancel = h("button", { type: "button", class: "button quiet", onclick: () => dialog.close() }, "Cancel");
    const body = form({
      fields: [h("p", {}, text), fields],
      action,
      busy,
      kind: danger ? "danger" : "",
      beside: [cancel],
      onsubmit: async (values) => {
        const acting = act(values);
        done = acting.then(() => true).catch((error) => {
          if (!dialog.open) complain(error, `Not done: ${action}`);
          return false;
        });
        await acting;
        dialog.close();
      },
    });
    const dialog = openDialog(title, body, { onclose: () => resolve(done) });
    if (!fields.length) cancel.focus();
  });
}
