/**
 * The event stream of Tenantry, for browsers and for Node 22 or newer. One file, no dependencies.
 *
 *   const stream = new EventStream({ token: () => accessToken });
 *   stream.addEventListener("event", ({ detail }) => show(detail));       // type, payload, seq, at
 *   stream.addEventListener("resync", ({ detail }) => reload(detail.seq)); // missed too much: refetch
 *   stream.addEventListener("state", ({ detail }) => indicate(detail));    // see EventStream.state
 *   stream.connect();
 *
 * Promises: every event once, in its order, also over lost connections, restarted servers and
 * laptops that slept. It comes back by itself, after the last `seq` that it gave out, until it is
 * told that it may not: the session has ended, or the person was removed.
 */

const FIRST_DELAY = 500; // ms; doubles with each failure, and is drawn from 0 to that ("full jitter")
const LONGEST_DELAY = 30_000;
const STEADY = 10_000; // ms after which a connection counts as having worked
const OPEN_WITHIN = 20_000;
const PING_EVERY = 25_000;
const PONG_WITHIN = 10_000;
const FINAL = new Set([4001, 4003, 4004]); // session ended; removed from the organisation, or it was deleted

export class EventStream extends EventTarget {
  #url;
  #token;
  #socket = null;
  #timers = new Set();
  #failures = 0;
  #wanted = false;
  #attempt = 0;
  #online = () => this.state.name === "waiting" && this.#open();

  /** The last seq that was given out, from which the stream resumes; null before the first. */
  seq;

  /** What "state" events carry: {name: "connecting" | "open" | "waiting" | "closed", …}. */
  state = { name: "closed", code: null, reason: "Not connected yet.", final: false };

  /**
   * @param {{url?: string, token: string | (() => string | Promise<string>), after?: number}} options
   *   `token` is an access token, or what gives a fresh one; it never stands in an address.
   */
  constructor({ url = globalThis.location?.origin, token, after = null }) {
    super();
    this.#url = url;
    this.#token = token;
    this.seq = after;
  }

  connect() {
    if (this.#wanted) return;
    this.#wanted = true;
    globalThis.addEventListener?.("online", this.#online);
    this.#failures = 0;
    this.#open();
  }

  close() {
    this.#end(1000, "Closed by this page.", false);
  }

  /** Cuts the connection as a network failure would; the stream resumes. */
  drop() {
    this.#lost(1006, "The connection was dropped.");
  }

  async #open() {
    this.#abandon();
    const attempt = this.#attempt;
    this.#become({ name: "connecting" });
    this.#after(OPEN_WITHIN, () => this.#lost(1006, "The server does not answer."), "ping");
    try {
      const ticket = await this.#ticket();
      if (attempt !== this.#attempt || ticket === null) return;
      const address = new URL("/ws", this.#url);
      address.protocol = address.protocol.replace("http", "ws");
      address.searchParams.set("ticket", ticket);
      if (this.seq !== null) address.searchParams.set("after", this.seq);
      const socket = (this.#socket = new WebSocket(address));
      socket.onmessage = ({ data }) => this.#hear(JSON.parse(data));
      socket.onclose = ({ code, reason }) => this.#lost(code, reason);
    } catch (error) {
      if (attempt === this.#attempt) this.#lost(1006, `The server cannot be reached: ${error.message}`);
    }
  }

  /** A ticket, or null where the answer has been dealt with. */
  async #ticket() {
    const token = typeof this.#token === "function" ? await this.#token() : this.#token;
    const answer = await fetch(new URL("/api/realtime/ticket", this.#url), {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
    });
    const { data, message } = await answer.json();
    if (answer.ok) return data.ticket;
    if (answer.status === 401) this.#end(4001, message, true);
    else this.#lost(1006, message, 1000 * Number(answer.headers.get("retry-after")));
    return null;
  }

  #hear(message) {
    this.#watch();
    switch (message.type) {
      case "PONG":
        return;
      case "CONNECTED":
        this.seq ??= message.seq;
        this.#after(STEADY, () => (this.#failures = 0));
        this.#become({ name: "open" });
        return;
      case "RESYNC":
        this.seq = message.seq;
        this.#emit("resync", { seq: message.seq });
        return;
    }
    if (message.seq <= this.seq) return;
    if (message.seq > this.seq + 1) return this.#lost(1006, "An event is missing.");
    this.seq = message.seq;
    this.#emit("event", message);
  }

  /** Asks whether the other side is there, when nothing has come for a while. */
  #watch() {
    this.#stop("ping");
    this.#after(
      PING_EVERY,
      () => {
        this.#socket.send('{"type":"PING"}');
        this.#after(PONG_WITHIN, () => this.#lost(1006, "The server does not answer."), "ping");
      },
      "ping",
    );
  }

  #lost(code, reason, delay = 0) {
    if (!this.#wanted) return;
    if (FINAL.has(code)) return this.#end(code, reason, true);
    this.#abandon();
    delay ||= Number(/in (\d+) ms/.exec(reason)?.[1]); // a server that restarts says when to return
    delay ||= Math.random() * Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
    this.#become({ name: "waiting", code, reason, delay });
    this.#after(delay, () => this.#open());
  }

  #end(code, reason, final) {
    this.#wanted = false;
    globalThis.removeEventListener?.("online", this.#online);
    this.#abandon();
    this.#become({ name: "closed", code, reason, final });
  }

  /** Forgets the connection and everything that was to happen on it. */
  #abandon() {
    this.#attempt++;
    this.#stop();
    if (this.#socket) {
      this.#socket.onmessage = this.#socket.onclose = null;
      this.#socket.close();
      this.#socket = null;
    }
  }

  #after(delay, act, kind = "") {
    const timer = { kind, id: setTimeout(() => this.#timers.delete(timer) && act(), delay) };
    this.#timers.add(timer);
  }

  #stop(kind = null) {
    for (const timer of this.#timers) {
      if (kind !== null && timer.kind !== kind) continue;
      clearTimeout(timer.id);
      this.#timers.delete(timer);
    }
  }

  #become(state) {
    this.state = state;
    this.#emit("state", state);
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
