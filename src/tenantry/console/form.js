/**
 * Forms: a label to each field, a hint, and what is wrong where it is wrong.
 *
 *   form({
 *     fields: [field("Email", { name: "email", type: "email", autocomplete: "username" })],
 *     action: "Sign in", busy: "Signing in …",
 *     onsubmit: async ({ email }) => { … },   // a Problem that it throws is shown in the form
 *   })
 */

import { fill, h } from "./dom.js";
import { sentence } from "./format.js";
import { understood } from "./problem.js";

let count = 0;

// Refusals that are about one field, which the API does not name.
const ABOUT = { PASSWORD_WRONG: "password", ROLE_NAME_TAKEN: "name", SLUG_TAKEN: "slug" };

/**
 * A labelled input. Attributes are those of <input>, but for `hint`, for `options`, a list of
 * [value, label] which makes it a <select>, and for `rows`, which makes it a <textarea>.
 * `wrong` is said where the browser finds it wrong.
 */
export function field(label, { hint = null, options = null, wrong = null, value = "", ...attributes }) {
  const id = `field-${++count}`;
  const described = [hint && `${id}-hint`, `${id}-problem`].filter(Boolean).join(" ");
  const given = { id, "aria-describedby": described, "data-wrong": wrong, ...attributes };
  const input = options
    ? h("select", given, options.map(([key, text]) => h("option", { value: key, selected: key === value }, text)))
    : h(attributes.rows ? "textarea" : "input", { ...given, value });
  return h(
    "div",
    { class: "field" },
    h("label", { for: id }, label),
    attributes.type === "password" ? withShow(input) : input,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    h("p", { class: "problem", id: `${id}-problem` }),
  );
}

function withShow(input) {
  const show = h("button", { type: "button", class: "show", "aria-label": "Show the password", onclick: toggle }, "Show");
  function toggle() {
    const shown = input.type === "text";
    input.type = shown ? "password" : "text";
    show.textContent = shown ? "Show" : "Hide";
    show.ariaLabel = `${show.textContent} the password`;
  }
  return h("div", { class: "password" }, input, show);
}

/** A password to choose: the hint and the least length are the server's. */
export function newPassword(label, name = "password") {
  const least = document.querySelector("meta[name=password-min-length]").content;
  const wrong = `Enter a password of ${least} characters or more.`;
  const hint = `${least} characters or more. A few words in a row are good.`;
  return field(label, { name, type: "password", autocomplete: "new-password", required: true, minlength: least, hint, wrong });
}

/** A box to tick. */
export function checkbox(label, { hint = null, checked = false, ...attributes }) {
  const id = `field-${++count}`;
  return h(
    "div",
    { class: "check" },
    h("input", { id, type: "checkbox", checked, "aria-describedby": hint && `${id}-hint`, ...attributes }),
    h("div", {}, h("label", { for: id }, label), hint && h("p", { class: "hint", id: `${id}-hint` }, hint)),
  );
}

/**
 * Boxes of one name under a label of their own; what is ticked is a list. `options` are
 * [value, label, {checked, disabled}].
 */
export function checkboxes(label, { name, options, hint = null }) {
  const id = `field-${++count}`;
  return h(
    "fieldset",
    { class: "field", "aria-describedby": hint && `${id}-hint` },
    h("legend", {}, label),
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint),
    options.map(([value, text, states]) => checkbox(text, { name, value, ...states, "aria-describedby": `${id}-problem` })),
    h("p", { class: "problem", id: `${id}-problem` }),
  );
}

/** `kind` is the button's; `beside` stands next to it. */
export function form({ fields, action, busy, onsubmit, kind = "", beside = [], ...attributes }) {
  const alert = h("p", { class: "problem", role: "alert", tabindex: "-1" });
  const submit = h("button", { class: `button ${kind}` }, action);
  const element = h(
    "form",
    { novalidate: true, ...attributes, onsubmit: send },
    alert,
    fields,
    h("div", { class: "row" }, submit, beside),
  );
  async function send(event) {
    event.preventDefault();
    if (submit.disabled) return;
    fill(alert);
    if (!check(element)) return;
    sending(true);
    fill(submit, busy);
    try {
      await onsubmit(values(element), element);
    } catch (error) {
      explain(element, understood(error));
    } finally {
      sending(false);
      fill(submit, action);
    }
  }
  function sending(now) {
    submit.disabled = now;
    element.dispatchEvent(new CustomEvent("sending", { bubbles: true, detail: now }));
  }
  return element;
}

/** By name; of boxes with one name, a list of those that are ticked. */
function values(element) {
  const found = {};
  for (const input of element.elements) {
    if (!input.name) continue;
    if (input.type !== "checkbox") found[input.name] = input.value;
    else if (!input.hasAttribute("value")) found[input.name] = input.checked;
    else (found[input.name] ??= []).push(...(input.checked ? [input.value] : []));
  }
  return found;
}

function complain(input, text) {
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  fill(input.closest(".field").lastElementChild, text);
}

const named = (element) => [...element.querySelectorAll(".field :is(input, select, textarea)[name]")];

/** Look at the fields before the server does; whether all are right. */
function check(element) {
  const inputs = named(element);
  for (const input of inputs) complain(input, input.validity.valid ? "" : (input.dataset.wrong ?? input.validationMessage));
  inputs.find((input) => !input.validity.valid)?.focus();
  return inputs.every((input) => input.validity.valid);
}

/** What went wrong is said at its field, or above the form, and has the focus. */
export function explain(element, problem) {
  const elsewhere = [];
  const about = ABOUT[problem.code];
  const known = about && named(element).some(({ name }) => name === about);
  const fields = known ? [{ field: about, message: problem.message }] : problem.fields;
  let first;
  for (const { field: name, message } of fields) {
    const input = named(element).find((one) => one.name === name);
    if (input) complain(input, sentence(message));
    else elsewhere.push(sentence(message));
    first ??= input;
  }
  const alert = element.querySelector("[role=alert]");
  fill(alert, fields.length ? elsewhere.join(" ") : problem.message);
  (alert.textContent ? alert : first).focus();
}
