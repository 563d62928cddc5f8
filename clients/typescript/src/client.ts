/** The typed client, with the access token on each request and a refresh when it has expired. */

import createClient, { type Client } from "openapi-fetch";

import type { components, paths } from "./schema.js";
import { EventStream } from "./stream.js";

type TokenPair = components["schemas"]["TokenPair"];

/** Where the tokens are kept; null is signed out. */
export interface TokenStore {
  read(): TokenPair | null;
  write(tokens: TokenPair | null): void;
}

export interface Tenantry {
  /** `await api.GET("/api/users")` gives `{ data, error, response }`; `error.code` is typed. */
  readonly api: Client<paths>;
  /** An access token that holds for a while yet. Throws where nobody is signed in. */
  accessToken(): Promise<string>;
  /** The event stream, not yet connected; `after` is the last seq that is known. */
  stream(after?: number): EventStream;
}

const EARLY = 10_000; // ms before its end at which a token is not begun with

/**
 * @param baseUrl The server's address, without /api.
 * @param tokens Pages of one origin share a store, and refresh one at a time.
 */
export function connect(baseUrl: string, tokens: TokenStore): Tenantry {
  const api = createClient<paths>({ baseUrl, fetch: signedFetch });
  let refreshing: Promise<void> | null = null;

  async function signedFetch(request: Request): Promise<Response> {
    const used = tokens.read();
    if (!used || isOpen(request)) return fetch(request);
    const again = request.clone();
    const response = await fetch(signed(request, used));
    if (response.status !== 401 || !(await isExpired(response))) return response;
    await refresh(used);
    const fresh = tokens.read();
    return fresh ? fetch(signed(again, fresh)) : response;
  }

  /** Replaces these tokens, if that has not happened meanwhile. A refresh token works once. */
  function refresh(used: TokenPair): Promise<void> {
    refreshing ??= alone(() => exchange(used)).finally(() => (refreshing = null));
    return refreshing;
  }

  async function exchange(used: TokenPair): Promise<void> {
    const refreshToken = tokens.read()?.refreshToken;
    if (!refreshToken || refreshToken !== used.refreshToken) return;
    const { data, error } = await api.POST("/api/auth/refresh", { body: { refreshToken } });
    if (data) tokens.write(data.data);
    else if (error.code === "REFRESH_TOKEN_INVALID") tokens.write(null);
  }

  async function accessToken(): Promise<string> {
    const current = tokens.read();
    if (current && expiry(current.accessToken) < Date.now() + EARLY) await refresh(current);
    const fresh = tokens.read();
    if (!fresh) throw new Error("Nobody is signed in.");
    return fresh.accessToken;
  }

  function stream(after?: number): EventStream {
    return new EventStream({ url: baseUrl, token: accessToken, after: after ?? null });
  }

  return { api, accessToken, stream };
}

/** Whether it is one that is sent without a token, since it gets new ones. */
function isOpen(request: Request): boolean {
  return /\/api\/auth\/(register|login|refresh)\b/.test(new URL(request.url).pathname);
}

function signed(request: Request, { accessToken }: TokenPair): Request {
  request.headers.set("authorization", `Bearer ${accessToken}`);
  return request;
}

async function isExpired(response: Response): Promise<boolean> {
  const { code }: { code?: unknown } = await response.clone().json();
  return code === "TOKEN_INVALID";
}

/** When an access token ends, in ms; its payload is the middle part (RFC 7519). */
function expiry(token: string): number {
  const payload = (token.split(".")[1] ?? "").replace(/-/g, "+").replace(/_/g, "/");
  const { exp }: { exp: number } = JSON.parse(atob(payload));
  return exp * 1000;
}

/** One at a time among the pages of this origin, where there are several. */
async function alone(act: () => Promise<void>): Promise<void> {
  const locks: LockManager | undefined = globalThis.navigator?.locks;
  if (locks) await locks.request("tenantry-refresh", act);
  else await act();
}
