/**
 * Calls of the API. The access token is in this module's memory and nowhere else; the refresh token
 * is in a cookie that no script can read, which the server takes with the header below only.
 */

import { gone, refusal, unreachable } from "./problem.js";

const API = "/api/";
const PATIENCE = 30_000; // milliseconds that an answer may take
const EARLY = 30_000; // milliseconds before its end at which a token is renewed, if it lives longer

let access = null; // {token, identity, until}
let shown = null; // the identity of what the page shows
let renewing = null;

/**
 * "ended": neither the token nor the cookie serves any more. "changed": the cookie leads to another person or organisation than
 * the page shows, as another tab has signed in or switched.
 */
export const tokens = new EventTarget();

/** Who the access token is for: {user, organisation, session}; null if nobody is signed in. */
export const identity = () => access?.identity ?? null;

/** Whether the page shows what the token is for. */
export const isShown = () => same(shown, identity());

/** From now on it does. */
export function show() {
  shown = identity();
}

export const api = {
  get: (path, query, options) => call("GET", path, { query, ...options }),
  post: (path, body, options) => call("POST", path, { body, ...options }),
  patch: (path, body, options) => call("PATCH", path, { body, ...options }),
  delete: (path, body, options) => call("DELETE", path, { body, ...options }),
};

export function adopt(token) {
  const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  const { sub, org, sid, iat, exp } = JSON.parse(atob(part));
  const lifetime = (exp - iat) * 1000;
  access = {
    token,
    identity: { user: sub, organisation: org, session: sid },
    until: Date.now() + lifetime - Math.min(EARLY, lifetime / 2), // by this clock, as it may be wrong
  };
}

export function forget() {
  access = null;
  shown = null;
}

/** A token that still lives for a while; what is called for is renewed first. */
export async function freshToken() {
  if (access && Date.now() >= access.until) await renew();
  return access?.token ?? null;
}

/** Get a new access token by the cookie, for all who ask at once; whether there is a session. */
export function renew() {
  renewing ??= alone(renewed).finally(() => (renewing = null));
  return renewing;
}

/** One tab after the other, so that no answer leaves an older cookie than the one before. */
const alone = (act) => (navigator.locks ? navigator.locks.request("tenantry-refresh", act) : act());

async function renewed() {
  const before = identity();
  const { answer, envelope } = await send("POST", "auth/refresh", { body: {}, keepalive: true });
  if (identity() !== before) return access !== null; // signed in or out meanwhile: that is newer
  if (answer.status === 401) {
    if (before) tokens.dispatchEvent(new Event("ended"));
    return false;
  }
  if (!answer.ok) throw refusal(answer, envelope);
  adopt(envelope.data.accessToken);
  if (before && !same(before, identity())) tokens.dispatchEvent(new Event("changed"));
  return true;
}

/** Go on in another organisation of the person: from then on the token is for that one. */
export const enter = (organisationId) =>
  call("POST", "auth/switch", { body: { organisationId }, ask: entered, ofToken: true });

// Not beside a renewal, whose answer would be about the organisation that is left.
const entered = (...request) =>
  alone(async () => {
    const given = await send(...request);
    if (given.answer.ok) adopt(given.envelope.data.accessToken);
    return given;
  });

const same = (one, other) => one?.user === other?.user && one?.organisation === other?.organisation;

/**
 * One request; gives the data, or with `whole` the envelope, which has a page's `nextCursor`.
 * Throws a Problem. `signal` aborts it.
 *
 * It is of the organisation that is shown, in which alone it is done, and alone is read: the token may
 * be for another before the page shows that. What is asked about the token itself is `ofToken`.
 */
async function call(method, path, { whole = false, ask = send, ofToken = false, ...options } = {}) {
  const page = shown;
  const here = () => {
    if (!ofToken && !(same(page, shown) && isShown())) throw gone();
  };
  const token = await freshToken();
  here();
  let { answer, envelope } = await ask(method, path, { token, ...options });
  if (token && answer.status === 401 && envelope?.code?.startsWith("TOKEN_") && (await renew())) {
    here();
    ({ answer, envelope } = await ask(method, path, { token: access.token, ...options }));
  }
  if (method === "GET" || !answer.ok) here(); // what has been done is told, wherever one is by then
  if (answer.ok && envelope?.success) return whole ? envelope : envelope.data;
  throw refusal(answer, envelope);
}

async function send(method, path, { token, body, query = {}, signal, keepalive = false }) {
  const headers = { "x-session-cookie": "1" };
  if (token) headers.authorization = `Bearer ${token}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const url = new URL(API + path, location.origin);
  for (const [name, value] of Object.entries(query))
    for (const each of [value].flat()) if (each !== null && each !== "") url.searchParams.append(name, each);
  const patience = AbortSignal.timeout(PATIENCE);
  try {
    const answer = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      keepalive, // a reload does not lose the answer
      signal: signal ? AbortSignal.any([signal, patience]) : patience,
    });
    return { answer, envelope: await answer.json().catch(() => undefined) };
  } catch (error) {
    if (signal?.aborted) throw error;
    throw unreachable();
  }
}
