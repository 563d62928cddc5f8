/**
 * The pages behind the links in mails. The end of the path says what to do; the fragment carries
 * the token. What the server says is only ever put into the page as text.
 */

const API = new URL("../../api/", import.meta.url);
const PATIENCE = 30_000; // milliseconds that an answer may take

const action = location.pathname.split("/").filter(Boolean).at(-1);
const find = (id) => document.getElementById(id);

/** What went wrong, in a sentence for people; `fields` as in the envelope. */
class Problem extends Error {
  constructor(message, { status = 0, code = "", fields = [] } = {}) {
    super(message);
    Object.assign(this, { status, code, fields });
  }
}

/** One request; gives the data, or throws a Problem. */
async function call(path, body, bearer) {
  const headers = { "content-type": "application/json" };
  if (bearer) headers.authorization = `Bearer ${bearer}`;
  let answer;
  let envelope;
  try {
    answer = await fetch(new URL(path, API), {
      method: "POST",
      headers,
      body: JSON.stringify(body),
      credentials: "omit",
      signal: AbortSignal.timeout(PATIENCE),
    });
    envelope = await answer.json();
  } catch {
    throw new Problem(
      answer
        ? `The server gave an answer that cannot be read (${answer.status}). Try again in a moment.`
        : "The server cannot be reached. Look whether you are online, and try again.",
    );
  }
  if (answer.ok && envelope?.success) return envelope.data;
  const { status } = answer;
  const said = status === 429 ? "Too many tries" : (envelope?.message ?? `Error ${status}`);
  const wait = Number(answer.headers.get("retry-after"));
  const when = wait > 0 && (status === 429 || status === 503) ? ` Try again ${after(wait)}.` : "";
  throw new Problem(sentence(said) + when, { ...envelope, status });
}

/** Whether it says that the token is good for nothing any more. */
const isDead = ({ status, code }) => (status === 404 || status === 410) && code !== "NOT_FOUND";

/** A fault of this page is for the console; a person can but try again. */
function understood(problem) {
  if (problem instanceof Problem) return problem;
  reportError(problem);
  return new Problem("Something is wrong with this page. Load it again.");
}

const sentence = (text) => capital(/[.!?]$/.test(text) ? text : `${text}.`);
const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

function after(seconds) {
  const [unit, each] = [["hour", 3600], ["minute", 60], ["second", 1]].find(
    ([, length]) => seconds >= 1.5 * length || length === 1,
  );
  return new Intl.RelativeTimeFormat("en").format(Math.ceil(seconds / each), unit);
}

/** The token of the link: out of the address bar, and kept in this tab until it is used. */
const token = {
  key: `account/${action}`,
  take() {
    this.value = new URLSearchParams(location.hash.slice(1)).get("token");
    if (location.hash) history.replaceState(null, "", location.pathname);
    try {
      if (this.value) sessionStorage.setItem(this.key, this.value);
      else this.value = sessionStorage.getItem(this.key);
    } catch {
      // The browser keeps nothing here: then the token is gone with a reload.
    }
    return this.value;
  },
  forget() {
    try {
      sessionStorage.removeItem(this.key);
    } catch {
      // Nothing was kept.
    }
  },
};

/** Show one section, and in it one form where there are several. */
function show(id, form) {
  for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== id;
  const section = find(id);
  if (form) for (const each of section.querySelectorAll("form")) each.hidden = each !== form;
  const heading = section.querySelector("h1");
  if (heading) document.title = heading.textContent;
  const field = (form ?? section).querySelector("input:not([readonly])");
  (field ?? heading)?.focus();
}

function fill(values) {
  // So that the console does not go on as somebody else who is signed in there.
  if (values.email)
    for (const link of document.querySelectorAll("[data-sign-in]")) link.hash = new URLSearchParams({ as: values.email });
  for (const place of document.querySelectorAll("[data-fill]")) {
    const value = values[place.dataset.fill];
    if (value !== undefined) place[place.matches("input") ? "value" : "textContent"] = value;
  }
}

function done() {
  token.forget();
  show(`${action}-done`);
}

function dead(problem) {
  token.forget();
  fill({ why: problem.message });
  for (const next of find("dead").querySelectorAll("[data-for]")) next.hidden = next.dataset.for !== action;
  show("dead");
}

const problemOf = (input) => input.closest(".field").querySelector(".problem");

function complain(input, text) {
  if (text) input.setAttribute("aria-invalid", "true");
  else input.removeAttribute("aria-invalid");
  problemOf(input).textContent = text;
}

/** Look at the fields before the server does; whether all are right. */
function check(form) {
  const inputs = [...form.querySelectorAll("input[name]")];
  for (const input of inputs) complain(input, input.validity.valid ? "" : input.dataset.wrong);
  inputs.find((input) => !input.validity.valid)?.focus();
  return inputs.every((input) => input.validity.valid);
}

/** What went wrong is said at its field, or above the form, and has the focus. */
function explain(form, problem) {
  const elsewhere = [];
  let first;
  for (const { field, message } of problem.fields) {
    const input = form.querySelector(`input[name="${CSS.escape(field)}"]`);
    if (input) complain(input, sentence(message));
    else elsewhere.push(sentence(message));
    first ??= input;
  }
  const alert = form.querySelector("[role=alert]");
  alert.textContent = problem.fields.length ? elsewhere.join(" ") : problem.message;
  (alert.textContent ? alert : first).focus();
}

/** Runs on submit, never twice at once. */
function onSubmit(form, act) {
  form.noValidate = true;
  const button = form.querySelector("button:not([type])");
  const label = button.textContent;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (button.disabled) return;
    form.querySelector("[role=alert]").textContent = "";
    if (!check(form)) return;
    for (const shown of form.querySelectorAll(".show[data-on]")) shown.click();
    button.disabled = true;
    find("status").textContent = button.textContent = button.dataset.busy;
    try {
      await act(Object.fromEntries(new FormData(form)));
    } catch (problem) {
      if (isDead(problem)) dead(problem);
      else explain(form, understood(problem));
    } finally {
      find("status").textContent = "";
      button.disabled = false;
      button.textContent = label;
    }
  });
}

for (const button of document.querySelectorAll(".show")) {
  button.addEventListener("click", () => {
    const on = button.toggleAttribute("data-on");
    button.previousElementSibling.type = on ? "text" : "password";
    button.textContent = on ? "Hide" : "Show";
    button.ariaLabel = `${button.textContent} the password`;
  });
}

const ROLES = { ADMIN: "an admin", MEMBER: "a member" };

async function acceptInvite() {
  show("loading");
  const invite = await call("users/invites/open", { token: token.value });
  fill({
    organisation: invite.organisation,
    inviter: invite.inviter,
    role: invite.customRole ?? ROLES[invite.role],
    email: invite.email,
    until: new Date(invite.expiresAt).toLocaleString("en", { dateStyle: "long", timeStyle: "short" }),
  });
  const newAccount = find("new-account");
  const signIn = find("sign-in");
  const step = (form) => {
    find("other-ways").hidden = true;
    show("accept-invite", form);
  };

  /** Accept as who has just signed in. The session was for this alone, so it ends here. */
  async function acceptAs({ accessToken, refreshToken }) {
    try {
      await call("users/accept-invite", { token: token.value }, accessToken);
    } finally {
      await call("auth/logout", { refreshToken }, accessToken).catch(() => {});
    }
    done();
  }

  onSubmit(newAccount, async ({ name, password }) => {
    try {
      await call("users/accept-invite", { token: token.value, name, password });
    } catch (problem) {
      if (problem.code !== "ACCOUNT_EXISTS") throw problem;
      return step(signIn); // it was made since the page was opened
    }
    done();
  });
  const secondStep = prepareSecondStep(step, acceptAs, (problem) => {
    step(signIn);
    explain(signIn, problem);
  });
  onSubmit(signIn, async ({ password }) => {
    const signedIn = await call("auth/login", { email: invite.email, password });
    if (signedIn.secondFactor) secondStep(signedIn.secondFactor);
    else await acceptAs(signedIn);
  });

  step(invite.accountExists ? signIn : newAccount);
}

/** The second step of a login, by whichever of the person's methods they choose. */
function prepareSecondStep(step, signedIn, startAgain) {
  let challenge;
  const proofs = {
    totp: ({ code }) => ({ code: code.replaceAll(" ", "") }),
    passkey: async () => ({ credential: await signature(challenge.passkeyOptions) }),
    recovery: ({ recoveryCode }) => ({ recoveryCode: recoveryCode.trim() }),
  };
  const others = find("other-ways");
  const canSign = "parseRequestOptionsFromJSON" in (globalThis.PublicKeyCredential ?? {});

  function choose(method, methods) {
    step(find(method));
    for (const other of others.children) {
      other.hidden = other.value === method || !methods.includes(other.value);
      other.onclick = () => choose(other.value, methods);
    }
    others.hidden = methods.length < 2;
  }

  for (const [method, proof] of Object.entries(proofs)) {
    onSubmit(find(method), async (values) => {
      const body = { token: challenge.token, ...(await proof(values)) };
      try {
        await signedIn(await call("auth/login/second-factor", body));
      } catch (problem) {
        if (problem.code !== "SIGN_IN_EXPIRED") throw problem;
        startAgain(problem);
      }
    });
  }

  return (secondFactor) => {
    challenge = secondFactor;
    const methods = challenge.methods.filter((method) => method !== "passkey" || canSign);
    if (methods.length === 0)
      throw new Problem("Your account asks for a passkey, which this browser cannot use. Open the link in another one.");
    choose(methods[0], methods);
  };
}

async function signature(options) {
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options);
  try {
    return (await navigator.credentials.get({ publicKey })).toJSON();
  } catch {
    throw new Problem("No passkey was used. Try again, or choose another way.");
  }
}

/** A page of one form. What was sent and what is answered is shown where the page has a place for it. */
function oneForm(form, path, body) {
  onSubmit(form, async (values) => {
    fill({ email: values.email, ...(await call(path, body(values))) });
    done();
  });
  show(action);
}

const withToken = (values) => ({ token: token.value, ...values });
const PAGES = {
  "accept-invite": acceptInvite,
  "verify-email": () => oneForm(find("verify"), "auth/verify-email", withToken),
  "reset-password": () => oneForm(find("reset"), "auth/reset-password", withToken),
  "restore-organisation": () => oneForm(find("restore"), "organisations/restore", withToken),
  "forgot-password": () => oneForm(find("forgot"), "auth/forgot-password", (values) => values),
};

async function start() {
  try {
    await PAGES[action]();
  } catch (problem) {
    if (isDead(problem)) return dead(problem);
    show("failed");
    explain(find("again"), understood(problem));
  }
}

// Another link of the same kind, opened in this tab, changes the fragment alone.
addEventListener("hashchange", () => location.reload());
onSubmit(find("again"), () => location.reload());
if (token.take() || action === "forgot-password") await start();
else show("no-token");
