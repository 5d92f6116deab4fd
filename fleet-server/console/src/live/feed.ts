// One live feed: server-sent events with ids. The browser comes back by itself after a lost connection and names the
// last id that it has seen; what cannot be resumed ends in `reset`, after which the snapshot is read anew.

import type { Schemas } from "../api/client";
import { access } from "../api/access.svelte";
import { clock } from "./clock.svelte";
import { link } from "./link.svelte";

export type LiveObservation = Schemas["LiveObservation"];
export type LamppostState = Schemas["LiveLamppostState"];
export type Changes = Schemas["LiveChanges"];

export type FeedQuery = { lamppost?: string; property?: string; observations?: "all" | "none" };

export type FeedHandlers = {
  changes: (changes: Changes) => void;
  /** What was shown so far may have gaps: read the snapshot anew, then call {@link Feed.resume} with its event id. */
  reset: () => void;
};

/** The server tells the time every 5 s; silence of three times that is a dead connection, whatever TCP thinks. */
const SILENCE_MS = 15_000;
/** How long to wait before a refused feed is tried again. */
const RETRY_MS = 3_000;

export class Feed {
  readonly #query: FeedQuery;
  readonly #handlers: FeedHandlers;
  readonly #watchdog: ReturnType<typeof setInterval>;
  #source: EventSource | null = null;
  #lastId: string;
  #lastHeard = performance.now();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;

  /** Opens a feed of what comes after the event of this id (`event_id` of a snapshot). */
  constructor(query: FeedQuery, after: string, handlers: FeedHandlers) {
    this.#query = query;
    this.#handlers = handlers;
    this.#lastId = after;
    this.#watchdog = setInterval(() => this.#watch(), 1000);
    this.#open();
  }

  /** Goes on after the event of this id: that of a snapshot that was read after a reset. */
  resume(after: string): void {
    this.#lastId = after;
    this.#open();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#watchdog);
    clearTimeout(this.#retry);
    this.#source?.close();
    link.closed();
  }

  #open(): void {
    if (this.#closed) return;
    clearTimeout(this.#retry);
    this.#source?.close();
    link.connecting();
    this.#lastHeard = performance.now();
    const query = new URLSearchParams({ ...this.#query, after: this.#lastId });
    const source = new EventSource(`/live?${query}`);
    this.#source = source;
    source.addEventListener("time", (event) => {
      this.#heard();
      // Where nothing happens for long, the time alone keeps the place within what can be resumed.
      if (event.lastEventId !== "") this.#lastId = event.lastEventId;
      clock.set((JSON.parse(event.data) as Schemas["LiveTime"]).time_ms);
    });
    source.addEventListener("changes", (event) => {
      this.#heard();
      this.#lastId = event.lastEventId;
      this.#handlers.changes(JSON.parse(event.data) as Changes);
    });
    source.addEventListener("reset", () => {
      this.#heard();
      // Nothing of this stream is used: the snapshot says where to go on.
      source.close();
      this.#handlers.reset();
    });
    source.addEventListener("error", () => {
      link.lost();
      // The browser comes back by itself unless the server refused; then we do, for the server may be starting.
      if (source.readyState === EventSource.CLOSED && this.#source === source) this.#later();
    });
  }

  #heard(): void {
    this.#lastHeard = performance.now();
    link.heard();
  }

  #watch(): void {
    if (performance.now() - this.#lastHeard < SILENCE_MS) return;
    link.lost();
    this.#open();
  }

  #later(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#probe(), RETRY_MS);
  }

  /** An EventSource does not tell why it was refused: a request does. */
  async #probe(): Promise<void> {
    const status = await fetch("/api/v1/catalogue", { method: "HEAD" }).then(
      (response) => response.status,
      () => 0,
    );
    if (status === 401) access.lost();
    else this.#open();
  }
}
