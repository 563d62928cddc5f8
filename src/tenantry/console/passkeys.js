/** What the browser does with passkeys; answers as the API takes them. */

import { Problem } from "./problem.js";

export const usable = "parseRequestOptionsFromJSON" in (globalThis.PublicKeyCredential ?? {});

/** A signature by one of the person's passkeys. */
export async function sign(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  try {
    return (await navigator.credentials.get({ publicKey })).toJSON();
  } catch {
    throw new Problem("No passkey was used. Try again, or choose another way.");
  }
}

/** A new passkey. */
export async function make(options) {
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options);
  try {
    return (await navigator.credentials.create({ publicKey })).toJSON();
  } catch (error) {
    if (error.name === "InvalidStateError") throw new Problem("This device has a passkey of your account already.");
    throw new Problem("No passkey was made. Try again when you are ready.");
  }
}
