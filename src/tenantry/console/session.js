/**
 * Who is signed in, where, and what they may do there. All tabs of a browser share the cookie, and
 * so the session: what one does, the others follow.
 *
 *   session.me            as GET /api/auth/me answers; null if nobody is signed in
 *   session.membership    the one in the organisation that is shown
 *   session.organisation  its organisation
 *   session.can("members:invite")
 *
 * "change": something of it is another; `detail.access`, whether what they may see is. What is to be
 * told about it is in `session.notice`. "beginning": what is shown is about to be another's. "failed":
 * it could not be loaded; `detail` is {problem, again}.
 */

import { adopt, api, enter, forget, identity, isShown, renew, show, tokens } from "./api.js";
import { live } from "./live.js";
import { gone, Problem, understood } from "./problem.js";

// Events after which it is fetched anew.
const ABOUT_ALL = new Set([
  "ORGANISATION_CHANGED",
  "ORGANISATION_RESTORED",
  "PLAN_UPGRADED",
  "PLAN_DOWNGRADED",
  "ROLE_CHANGED",
]);
const ENDED = "Your session has ended. Sign in again.";
// What is told when the stream is closed for good, by its code.
const OVER = {
  4003: (organisation) => `You are not a member of ${organisation} any more.`,
  4004: (organisation) => `${organisation} has been deleted. Its owner can restore it for 30 days.`,
};
const OF_OWNERS = "organisation:own";

class Session extends EventTarget {
  me = null;
  membership = null;
  notice = "";
  #permissions = new Set();
  #tabs = new BroadcastChannel("tenantry");
  #going = null;
  #farewell = ""; // what is told about what this page itself is ending
  #leaving = false; // this page is signing out
  #beginning = false;
  #latest = 0; // what was begun, asked or ended last: an answer to what was before comes too late

  constructor() {
    super();
    this.#tabs.onmessage = ({ data }) => this.#follow(data);
    tokens.addEventListener("ended", () => this.me && !this.#leaving && this.#refused());
    // Where this page itself is leaving, that begins the next one, and tells why.
    tokens.addEventListener("changed", () => this.#going || this.#begin());
    live.addEventListener("over", ({ detail }) => this.#look(detail));
    live.addEventListener("resync", () => this.reload());
    live.addEventListener("event", ({ detail: { type, payload } }) => {
      const aboutMe = type === "USER_ROLE_CHANGED" && payload.userId === this.me?.id;
      if (aboutMe || ABOUT_ALL.has(type)) this.reload();
    });
  }

  get organisation() {
    return this.membership?.organisation ?? null;
  }

  can(permission) {
    if (this.membership?.owner) return true;
    if (this.membership?.role === "ADMIN") return permission !== OF_OWNERS;
    return this.#permissions.has(permission);
  }

  /** Go on with the session that the browser has, if it has one. */
  async resume() {
    const before = identity();
    if ((await renew()) && !before) await this.#begin(); // another than before is "changed"
  }

  /** What a sign-in answered, by whichever way. */
  async signedIn({ accessToken }) {
    adopt(accessToken);
    await this.#beginHere();
  }

  async switchTo(organisationId) {
    await enter(organisationId);
    await this.#beginHere();
  }

  /** Do what ends the membership, or more, and go on elsewhere: the stream may tell of it first. */
  async depart(act, notice) {
    const { id } = this.organisation;
    this.#farewell = notice;
    try {
      await act();
      await this.#goOnElsewhere(id, notice);
    } finally {
      this.#farewell = "";
    }
  }

  async signOut() {
    this.#leaving = true;
    try {
      await api.post("auth/logout", {});
    } catch (error) {
      if (error.status !== 401) throw error; // or it has ended already
    } finally {
      this.#leaving = false;
    }
    this.ended("");
  }

  /** This session has ended by what was done here: the account's deletion, signing out everywhere. */
  ended(notice) {
    this.#tabs.postMessage("signed out");
    this.#end(notice);
  }

  /** Fetch it anew; a failure leaves it as it was, until the next event or reload. */
  async reload() {
    if (this.#beginning || !isShown()) return; // another is about to be shown, as it is by now
    const mine = ++this.#latest;
    const before = this.#text();
    const found = await this.#fetch().catch(() => null);
    if (!found || mine !== this.#latest) return;
    this.#take(found);
    this.notice = "";
    this.#tell(before !== this.#text());
  }

  /** Begin, by what this tab has done; the others follow. */
  #beginHere(notice = "") {
    this.#tabs.postMessage("signed in");
    return this.#begin(notice);
  }

  /** Show what the token is for. Until that is loaded, nothing more is done in what was shown. */
  async #begin(notice = "") {
    const mine = ++this.#latest;
    this.#beginning = true;
    this.notice = "";
    live.stop();
    this.dispatchEvent(new Event("beginning"));
    try {
      const found = await this.#fetch();
      if (mine !== this.#latest) return;
      // Without a second factor where one is required, there is no stream: the views say why.
      await live.start().catch(() => {});
      if (mine !== this.#latest) return;
      if (!isAbout(found)) return this.#begin(notice); // another tab has gone on meanwhile
      this.#take(found);
      show();
      this.#beginning = false;
      this.notice = notice;
      this.#tell(true);
    } catch (error) {
      if (mine !== this.#latest) return;
      if (error.code === "GONE") return this.#begin(notice);
      if (error.status === 401) this.#end(ENDED);
      else if (error.code === "NOT_A_MEMBER") this.#end(error.message);
      else this.#fail(error, () => this.#begin(notice));
    }
  }

  /** What the token stands for, by now. */
  async #fetch() {
    const me = await api.get("auth/me", {}, { ofToken: true });
    const membership = me.memberships.find((one) => one.organisation.id === me.organisationId);
    if (!membership) throw new Problem("You are not a member of this organisation any more", { code: "NOT_A_MEMBER" });
    let permissions = [];
    if (membership.customRole) {
      const roles = await api.get("organisations/roles", {}, { ofToken: true }).catch(unlessFactorIsMissing);
      permissions = roles.find((role) => role.name === membership.customRole)?.permissions ?? [];
    }
    if (!isAbout({ me })) throw gone();
    return { me, membership, permissions };
  }

  #take({ me, membership, permissions }) {
    Object.assign(this, { me, membership });
    this.#permissions = new Set(permissions);
  }

  #text() {
    const { role, owner, organisation } = this.membership ?? {};
    return JSON.stringify([this.me?.id, organisation?.id, role, owner, [...this.#permissions]]);
  }

  /**
   * This organisation is not theirs any more: go on in another one of theirs, if there is one. `otherwise`
   * is told where it is the session that has ended.
   */
  #goOnElsewhere(id, notice, otherwise = notice) {
    if (this.#going) return this.#going;
    const going = this.#leaveFor(id, notice, otherwise).finally(() => this.#arrived(going));
    return (this.#going = going);
  }

  #arrived(going) {
    if (this.#going === going) this.#going = null;
    if (this.me && !this.#beginning && !isShown()) this.#begin(); // another tab was quicker
  }

  async #leaveFor(id, notice, otherwise) {
    const left = () => this.organisation?.id !== id; // by another way, which has told of it
    if (left()) return;
    try {
      const { memberships } = await api.get("auth/me", {}, { ofToken: true });
      if (left()) return;
      const others = memberships.filter(({ organisation }) => organisation.id !== id);
      if (others.length < memberships.length) return this.#end(otherwise);
      if (!others.length) return this.ended(notice);
      await enter(others[0].organisation.id);
      this.#going = null; // from here on, what another tab does counts
      await this.#beginHere(notice);
    } catch (error) {
      if (left()) return;
      if (error.status === 401) this.#end(otherwise);
      else this.#fail(error, () => this.#goOnElsewhere(id, notice, otherwise));
    }
  }

  /** The token is refused, and the cookie too: so it is when either the session or the membership ends. */
  #refused() {
    const { id, name } = this.organisation;
    return this.#goOnElsewhere(id, this.#farewell || OVER[4003](name), this.#farewell || ENDED);
  }

  /** The stream is over: the membership has ended, or the whole session. */
  async #look({ code }) {
    if (!this.me || this.#leaving) return; // told already, or about to be
    const { id, name } = this.organisation;
    if (OVER[code]) return this.#goOnElsewhere(id, this.#farewell || OVER[code](name));
    if (await renew().catch((error) => this.#fail(error, () => this.#begin()))) await live.start().catch((problem) => this.#barred(problem));
  }

  /** A second factor is required from now on: what is shown is not this session's to see any more. */
  #barred({ code }) {
    if (code === "SECOND_FACTOR_REQUIRED") this.#tell(true);
  }

  async #follow(message) {
    // The stream's end, or a refusal, may have been quicker to tell than the other tab.
    const within = this.me || this.notice === ENDED;
    if (message === "signed out" && within) this.#end("You have signed out in another tab.");
    if (message === "signed in") await this.resume().catch(() => {});
  }

  #end(notice) {
    const told = !this.me && this.notice === notice;
    this.#latest++;
    this.#beginning = false;
    forget();
    live.stop();
    Object.assign(this, { me: null, membership: null, notice });
    this.#permissions = new Set();
    if (!told) this.#tell(true);
  }

  /** There is a session, but nothing of it can be shown before `again` succeeds. */
  #fail(error, again) {
    this.#latest++;
    this.#beginning = false;
    this.dispatchEvent(new CustomEvent("failed", { detail: { problem: understood(error), again } }));
  }

  #tell(access) {
    this.dispatchEvent(new CustomEvent("change", { detail: { access } }));
  }
}

/** Whether it is about the person and the organisation that the token is for. */
function isAbout({ me }) {
  const { user, organisation } = identity() ?? {};
  return me.id === user && me.organisationId === organisation;
}

/** Without the second factor that is required nothing is allowed, and the views say why. */
function unlessFactorIsMissing(problem) {
  if (problem.code !== "SECOND_FACTOR_REQUIRED") throw problem;
  return [];
}

export const session = new Session();
