/** What went wrong, in a sentence for people. */

import { duration, sentence } from "./format.js";

/**
 * `code`, `fields` ([{field, message}]) and `requestId` are as in the API's envelope; `status` is 0
 * where no answer came.
 */
export class Problem extends Error {
  constructor(message, { status = 0, code = "", fields = [], requestId = null } = {}) {
    super(sentence(message));
    Object.assign(this, { status, code, fields, requestId });
  }
}

/** It was of an organisation that is not shown any more, and concerns nobody here. */
export const gone = () => new Problem("You are signed in elsewhere now", { code: "GONE" });

export const unreachable = () =>
  new Problem(
    navigator.onLine
      ? "The server cannot be reached. Try again in a moment."
      : "You are offline. Connect to the internet, and try again.",
  );

/** An answer that is an error; `envelope` is undefined where it could not be read. */
export function refusal(answer, envelope) {
  const { status } = answer;
  const wait = Number(answer.headers.get("retry-after"));
  const when = wait > 0 && (status === 429 || status === 503) ? ` Try again in ${duration(wait)}.` : "";
  let said = envelope?.message ?? `The server gave an answer that cannot be read (${status})`;
  if (status === 429 && envelope?.code.startsWith("TOO_MANY_")) said = "That was too often";
  return new Problem(sentence(said) + when, {
    status,
    code: envelope?.code,
    fields: envelope?.fields ?? [],
    requestId: answer.headers.get("x-request-id"),
  });
}

/** A fault of the console itself is for its developers; a person can but load it again. */
export function understood(error) {
  if (error instanceof Problem) return error;
  reportError(error);
  return new Problem("Something is wrong with this page. Load it again.");
}
