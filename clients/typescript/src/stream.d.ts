/** The types of stream.js, which is the server's own /api/realtime/client.js. */

import type { components } from "./schema.js";

export type StreamState =
  | { name: "connecting" }
  | { name: "open" }
  | { name: "waiting"; code: number; reason: string; delay: number }
  | { name: "closed"; code: number | null; reason: string; final: boolean };

interface Heard {
  /** Every event once, in its order. */
  event: CustomEvent<components["schemas"]["Event"]>;
  /** Too much was missed: fetch your state anew; the stream goes on after this seq. */
  resync: CustomEvent<{ seq: number }>;
  state: CustomEvent<StreamState>;
}

export class EventStream extends EventTarget {
  constructor(options: {
    url?: string;
    token: string | (() => string | Promise<string>);
    after?: number | null;
  });

  readonly seq: number | null;
  readonly state: StreamState;

  connect(): void;
  close(): void;
  /** Cuts the connection as a network failure would; the stream resumes. */
  drop(): void;

  override addEventListener<Name extends keyof Heard>(
    type: Name,
    listener: (event: Heard[Name]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
}
