/** The second factor: an authenticator app, recovery codes, and giving it in this session. */

import { api } from "../../api.js";
import { openDialog } from "../../dialog.js";
import { fill, h } from "../../dom.js";
import { date, plural } from "../../format.js";
import { field, form } from "../../form.js";
import { badge, button, card, copyable } from "../../parts.js";
import { methodsOf, optionsOfPasskey, proofForm, stepUp } from "../../proof.js";
import { session } from "../../session.js";
import { toast } from "../../toast.js";
import { View } from "../../view.js";
import { currentPassword } from "./profile.js";

/** The codes are shown this once. */
export function showCodes(codes) {
  if (!codes) return;
  openDialog(
    "Keep your recovery codes",
    h(
      "div",
      { class: "stack" },
      h("p", { class: "soft" }, "Each signs you in once, when your app or passkey is not at hand. Keep them where only you find them; they are not shown again."),
      copyable(codes.join("\n"), "the recovery codes"),
    ),
    { once: true },
  );
}

/** Something about the factors is another. */
export function changed() {
  for (const part of document.querySelectorAll("factors-card, passkeys-card, sessions-card")) part.reload();
  return session.reload();
}

class FactorsCard extends View {
  lines = 3;
  #list = h("ul", { class: "list" });
  #weak = h("div", {});

  build() {
    return [card("Second factor", { note: "Beside your password: something that you have." }, this.#weak, this.#list)];
  }

  load(signal) {
    return Promise.all([api.get("auth/second-factors", {}, { signal }), api.get("auth/me", {}, { signal })]);
  }

  show([factors, me]) {
    const methods = methodsOf(factors);
    const any = Boolean(factors.totpSince || factors.passkeys);
    fill(this.#weak, any && !me.secondFactor && giveIt(methods));
    fill(this.#list, app(factors, methods), any && codes(factors, methods));
  }
}

/** This session began before there was a factor, so it has not given it. */
function giveIt(methods) {
  const place = h("div", { class: "notice warn" });
  const open = button("Give it now", () =>
    fill(
      place,
      stepUp(methods, () => {
        toast("This session has given your second factor.", { kind: "good" });
        return changed();
      }),
    ),
  );
  fill(place, h("div", { class: "row apart" }, h("p", {}, "This session has not given your second factor yet. Some things here ask for it."), open));
  return place;
}

const line = (title, text, mark, ...acts) =>
  h("li", {}, h("div", { class: "what" }, h("strong", {}, title), h("span", { class: "fine" }, text)), mark, h("div", { class: "acts" }, acts));

function app({ totpSince }, methods) {
  if (!totpSince)
    return line("Authenticator app", "Shows a code of six digits, each for half a minute.", null, button("Add", addApp, { name: "Add an authenticator app" }));
  return line("Authenticator app", `Since ${date(totpSince)}.`, badge("On", "good"), button("Remove", () => removeApp(methods), { kind: "plain bad", name: "Remove the authenticator app" }));
}

function codes({ recoveryCodes }, methods) {
  const left = recoveryCodes ? `${plural(recoveryCodes, "code")} left.` : "None is left.";
  return line("Recovery codes", `${left} New ones take the place of the old.`, null, button("New codes", () => newCodes(methods), { kind: "plain", name: "New recovery codes" }));
}

function addApp() {
  const dialog = openDialog(
    "Add an authenticator app",
    form({
      fields: [h("p", { class: "soft" }, "Any app that shows codes will do. Confirm first that it is you."), currentPassword()],
      action: "Continue",
      busy: "Preparing …",
      onsubmit: async (values) => scan(dialog, await api.post("auth/totp", values)),
    }),
  );
}

/** The picture is the server's, and comes without the name of its language. */
const picture = (qrCode) =>
  `data:image/svg+xml,${encodeURIComponent(qrCode.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"'))}`;

function scan(dialog, { secret, qrCode }) {
  const confirm = form({
    fields: [
      h("figure", { class: "scan" }, h("img", { src: picture(qrCode), alt: "The code to scan with the app" })),
      h("p", { class: "fine" }, "Cannot scan it? Enter this key in the app:"),
      copyable(secret, "the key"),
      field("Code that the app shows", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, wrong: "Enter the six digits that the app shows." }),
    ],
    action: "Confirm",
    busy: "Confirming …",
    onsubmit: async ({ code }) => {
      const { recoveryCodes } = await api.post("auth/totp/confirm", { code: code.replaceAll(" ", "") });
      dialog.close();
      toast("The authenticator app is your second factor now.", { kind: "good" });
      showCodes(recoveryCodes);
      await changed();
    },
  });
  dialog.querySelector("form").replaceWith(confirm);
  confirm.elements.code.focus();
}

/** A dialog that asks for the password and the second factor. */
function prove(title, methods, { action, busy, kind = "", act }) {
  const dialog = openDialog(
    title,
    proofForm({
      methods,
      options: optionsOfPasskey,
      before: [currentPassword()],
      action,
      busy,
      kind,
      submit: async (given) => {
        const answer = await act(given);
        dialog.close();
        await changed();
        return answer;
      },
    }),
  );
  dialog.querySelector("input").focus();
}

const removeApp = (methods) =>
  prove("Remove the authenticator app?", methods, {
    action: "Remove",
    busy: "Removing …",
    kind: "danger",
    act: async (given) => {
      await api.delete("auth/totp", given);
      toast("The authenticator app has been removed.", { kind: "good" });
    },
  });

const newCodes = (methods) =>
  prove("New recovery codes", methods, {
    action: "Make new codes",
    busy: "Making …",
    act: async (given) => {
      const { recoveryCodes } = await api.post("auth/recovery-codes", given);
      showCodes(recoveryCodes);
    },
  });

customElements.define("factors-card", FactorsCard);
