/**
 * The client against a real server, as a front end would use it. Run by tests/test_clients.py:
 * `node journey.js URL EMAIL PASSWORD RECOVERY_CODE`, of an account that has a second factor.
 */

import {
  connect,
  type ErrorCode,
  type ErrorReply,
  type Schemas,
  type TenantryEvent,
  type TokenPair,
  type TokenStore,
} from "tenantry-client";

declare const process: { argv: string[] };
const [url = "", email = "", password = "", recoveryCode = ""] = process.argv.slice(2);

function check(holds: unknown, what: string): asserts holds {
  if (!holds) throw new Error(what);
}

class Memory implements TokenStore {
  written = 0;
  #tokens: TokenPair | null = null;

  read(): TokenPair | null {
    return this.#tokens;
  }

  write(tokens: TokenPair | null): void {
    this.written++;
    this.#tokens = tokens;
  }
}

/** The right kind of token, but expired long ago. */
function stale(tokens: TokenPair): TokenPair {
  return { ...tokens, accessToken: `e30.${btoa('{"exp":1}')}.AAAA` };
}

function explain(error: ErrorReply): string {
  switch (error.code) {
    case "EMAIL_IN_USE":
      return "sign in instead";
    case "VALIDATION_FAILED":
      return (error.fields ?? []).map(({ field }) => field).join(", ");
    default:
      return error.message;
  }
}

/** Every kind of event has its payload, which tsc proves. */
function tell(event: TenantryEvent): string {
  switch (event.type) {
    case "USER_JOINED":
      return `${event.payload.name} joined`;
    case "INVITE_SENT":
      return `${event.payload.email} was invited`;
    case "BROADCAST_MESSAGE":
      return event.payload.message;
    default:
      return event.type;
  }
}

const unique = crypto.randomUUID();
const tokens = new Memory();
const { api, accessToken, stream } = connect(url, tokens);

// Registering, and an error told by its code.
const ada: Schemas["RegisterInput"] = {
  name: "Ada Lovelace",
  email: `ada.${unique}@example.com`,
  password: "correct horse battery",
  organisationName: "Analytical Engines",
};
const registered = await api.POST("/api/auth/register", { body: ada });
check(registered.data, "registered");
tokens.write(registered.data.data);
const again = await api.POST("/api/auth/register", { body: ada });
check(again.error && explain(again.error) === "sign in instead", "the address is in use");
const wrong = await api.POST("/api/auth/register", { body: { ...ada, email: "nobody" } });
check(wrong.error && explain(wrong.error) === "email", "the field is named");
// @ts-expect-error: there is no such code
const misspelt: ErrorCode = "EMAIL_USED";
check(wrong.error.code !== misspelt, "codes are typed");

// Inviting, and accepting as somebody else.
const invited = await api.POST("/api/users/invite", {
  body: { email: `grace.${unique}@example.com`, role: "MEMBER" },
});
check(invited.data?.data.token, "a server without mail answers the token");
const accepted = await connect(url, new Memory()).api.POST("/api/users/accept-invite", {
  body: { token: invited.data.data.token, name: "Grace Hopper", password: ada.password },
});
check(accepted.data?.data.role === "MEMBER", "accepted");
// @ts-expect-error: there is no such role
await api.POST("/api/users/invite", { body: { email: ada.email, role: "BOSS" } });
// @ts-expect-error: there is no such address
await api.GET("/api/nothing");

// An access token that has expired is renewed once, however many requests find out.
tokens.write(stale(registered.data.data));
tokens.written = 0;
const [feed, members] = await Promise.all([
  api.GET("/api/activities", { params: { query: { limit: 10, type: ["USER_JOINED"] } } }),
  api.GET("/api/users"),
]);
check(tokens.written === 1, "refreshed once");
check(members.data?.data.length === 2, "two members");
const names = feed.data?.data.map((line) =>
  line.type === "USER_JOINED" ? line.metadata.name : line.type,
);
check(names?.join() === "Grace Hopper,Ada Lovelace", `the feed: ${names}`);

// Events as they happen, and those before them.
const current = tokens.read();
check(current, "signed in");
tokens.write(stale(current));
check((await accessToken()) !== stale(current).accessToken, "a fresh token is handed out");
const events = stream(0);
const heard: string[] = [];
const complete = new Promise<void>((resolve) => {
  events.addEventListener("event", ({ detail }) => {
    heard.push(tell(detail));
    if (detail.type === "BROADCAST_MESSAGE") resolve();
  });
});
events.connect();
await api.POST("/api/organisations/broadcast", { body: { message: "Lunch at noon?" } });
await complete;
events.close();
check(heard[0] === "Ada Lovelace joined", `from the first on: ${heard}`);
check(heard.at(-1) === "Lunch at noon?", `to the newest: ${heard}`);

// A login that lacks its second factor has no tokens, and tsc says so.
const visitor = connect(url, new Memory());
const first = await visitor.api.POST("/api/auth/login", { body: { email, password } });
check(first.data && "secondFactor" in first.data.data, "a second factor is asked for");
const { token, methods } = first.data.data.secondFactor;
check(methods.includes("recovery"), `by a recovery code: ${methods}`);
const second = await visitor.api.POST("/api/auth/login/second-factor", {
  body: { token, recoveryCode },
});
check(second.data?.data.accessToken, "signed in");
