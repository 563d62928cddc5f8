/**
 * The event stream of the organisation. It loses nothing: it begins after the last event that the
 * views, which are loaded later, can have seen.
 *
 *   live.addEventListener("event", ({ detail }) => …);  // {type, payload, seq, at}
 *   live.addEventListener("resync", …);                 // too much was missed: load everything anew
 *   live.addEventListener("state", …);                  // live.state: "connecting", "live", "offline"
 *   live.addEventListener("over", …);                   // it has ended for good; detail.code says why
 */

import { EventStream } from "/api/realtime/client.js";
import { api, freshToken, identity } from "./api.js";
import { gone } from "./problem.js";

const SLEPT = 30_000; // milliseconds out of sight after which a connection is not believed any more

class Live extends EventTarget {
  state = "offline";
  #stream = null;
  #start = null; // which one is under way, or was the last
  #hidden = 0;

  constructor() {
    super();
    document.addEventListener("visibilitychange", () => this.#seen());
    addEventListener("online", () => this.#stream?.drop());
    addEventListener("offline", () => this.#stream?.drop());
  }

  async start() {
    this.stop();
    const start = (this.#start = Symbol("start"));
    const { organisation } = identity();
    const [latest] = await api.get("activities", { limit: 1 }, { ofToken: true });
    if (start !== this.#start) return; // another has begun meanwhile, or none is wanted any more
    const token = async () => {
      const fresh = await freshToken();
      if (identity()?.organisation !== organisation) throw gone();
      return fresh;
    };
    const stream = new EventStream({ token, after: latest?.seq ?? 0 });
    this.#stream = stream;
    const listen = (type, act) => stream.addEventListener(type, ({ detail }) => stream === this.#stream && act(detail));
    listen("event", (event) => this.#tell("event", event));
    listen("resync", () => this.#tell("resync"));
    listen("state", (state) => this.#become(state));
    stream.connect();
  }

  stop() {
    this.#start = null;
    const stream = this.#stream;
    this.#stream = null;
    stream?.close();
    this.#show("offline");
  }

  #become({ name, code, final }) {
    if (name === "open") this.#show("live");
    else if (name === "connecting" && this.state !== "offline") this.#show("connecting");
    else if (name === "waiting" || final) this.#show("offline");
    if (final) this.#tell("over", { code });
  }

  #show(state) {
    if (state === this.state) return;
    this.state = state;
    this.#tell("state", state);
  }

  /** Back in sight: what slept comes back at once, whatever it waits for. */
  #seen() {
    if (document.hidden) this.#hidden = Date.now();
    else if (this.state !== "live" || Date.now() - this.#hidden > SLEPT) this.#wake();
  }

  #wake() {
    if (!this.#stream) return;
    const stream = this.#stream;
    this.#stream = null; // closing is not telling
    stream.close();
    this.#stream = stream;
    stream.connect();
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();
