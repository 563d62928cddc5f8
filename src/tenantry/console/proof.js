/** Giving a second factor, by whichever of the person's methods they choose. */

import { api } from "./api.js";
import { fill, h } from "./dom.js";
import { field, form } from "./form.js";
import { sign, usable } from "./passkeys.js";
import { Problem } from "./problem.js";

const METHODS = {
  totp: {
    other: "Use your authenticator app",
    field: ["Code from your authenticator app", { name: "code", inputmode: "numeric", autocomplete: "one-time-code", required: true, wrong: "Enter the six digits that the app shows." }],
    proof: ({ code }) => ({ code: code.replaceAll(" ", "") }),
  },
  passkey: {
    other: "Use a passkey",
    proof: async (_, options) => ({ credential: await sign(await options()) }),
  },
  recovery: {
    other: "Use a recovery code",
    field: ["One of your recovery codes", { name: "recoveryCode", autocomplete: "off", autocapitalize: "none", spellcheck: "false", required: true, wrong: "Enter one of the codes that you were given to keep." }],
    proof: ({ recoveryCode }) => ({ recoveryCode: recoveryCode.trim() }),
  },
};

/** Those that somebody has, of what GET /api/auth/second-factors answers. */
export const methodsOf = ({ totpSince, passkeys, recoveryCodes }) =>
  [totpSince && "totp", passkeys && "passkey", recoveryCodes && "recovery"].filter(Boolean);

export const optionsOfPasskey = async () => (await api.post("auth/second-factor/options")).passkeyOptions;

/** For a session that began before there was a factor, or without it. */
export const stepUp = (methods, done) =>
  proofForm({
    methods,
    options: optionsOfPasskey,
    action: "Confirm",
    busy: "Confirming …",
    submit: async (proof) => {
      await api.post("auth/second-factor", proof);
      await done();
    },
  });

/**
 * A form for one method, and the ways to the others. `submit` is given {code}, {recoveryCode} or
 * {credential}, as the API takes them, with the values of the fields in `before`; `options` gives
 * what a passkey is to sign.
 */
export function proofForm({ methods, options, action, busy, submit, before = [], kind = "" }) {
  const offered = methods.filter((method) => method !== "passkey" || usable);
  if (!offered.length) throw new Problem("Your account asks for a passkey, which this browser cannot use. Take another one.");
  const place = h("div", { class: "proof" });
  function choose(method) {
    const { field: input, proof } = METHODS[method];
    const others = offered.filter((other) => other !== method);
    fill(
      place,
      form({
        fields: [before, input && field(...input)],
        kind,
        action: method === "passkey" ? `${action} with your passkey` : action,
        busy: method === "passkey" ? "Waiting for your passkey …" : busy,
        onsubmit: async (values) => submit({ ...values, ...(await proof(values, options)) }),
      }),
      others.map((other) => h("button", { type: "button", class: "button plain", onclick: () => choose(other) }, METHODS[other].other)),
    );
    place.querySelector("input, button").focus();
  }
  choose(offered[0]);
  return place;
}
