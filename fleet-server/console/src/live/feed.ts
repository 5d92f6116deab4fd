// One live feed: server-sent events with ids. The browser comes back by itself after a lost connection and names the
// last id that it has seen; what cannot be resumed ends in `reset`, after which the snapshot is read anew.

import type { Schemas } from "../api/client";
import { access, knock } from "../api/access.svelte";
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

const LOOK_MS = 1_000;
/** The server tells the time every 5 s; silence of three times that is a dead connection, whatever TCP thinks. */
const SILENCE_MS = 15_000;
/** Looks that are so far apart have sleep between them, and what the network was is not what it is. */
const SLEPT_MS = 5_000;
/** A tab that nobody has looked at for so long gives its connection back: a browser has six for one server. */
const HIDDEN_MS = 10_000;
/** How long to wait before a refused feed is tried again. */
const RETRY_MS = 3_000;

export class Feed {
  readonly #query: FeedQuery;
  readonly #handlers: FeedHandlers;
  readonly #watchdog: ReturnType<typeof setInterval>;
  /** After a reset the last id leads nowhere: nothing is opened until a snapshot names another. */
  #stage: "following" | "awaiting-snapshot" | "closed" = "following";
  /** Nobody has looked for long. */
  #isResting = false;
  #source: EventSource | null = null;
  #lastId: string;
  #lastHeard = performance.now();
  #lastLook = Date.now();
  #retry: ReturnType<typeof setTimeout> | undefined;
  #rest: ReturnType<typeof setTimeout> | undefined;

  /** Opens a feed of what comes after the event of this id (`event_id` of a snapshot). */
  constructor(query: FeedQuery, after: string, handlers: FeedHandlers) {
    this.#query = query;
    this.#handlers = handlers;
    this.#lastId = after;
    this.#watchdog = setInterval(() => this.#watch(), LOOK_MS);
    document.addEventListener("visibilitychange", this.#onVisibility);
    this.#onVisibility();
    this.#open();
  }

  /** Goes on after the event of this id: that of a snapshot that was read after a reset. */
  resume(after: string): void {
    if (this.#stage === "closed") return;
    this.#stage = "following";
    this.#lastId = after;
    this.#open();
  }

  close(): void {
    this.#stage = "closed";
    clearInterval(this.#watchdog);
    clearTimeout(this.#rest);
    document.removeEventListener("visibilitychange", this.#onVisibility);
    this.#shut();
    link.closed();
  }

  #open(): void {
    if (this.#stage !== "following" || this.#isResting) return;
    this.#shut();
    link.connecting();
    this.#lastHeard = performance.now();
    this.#lastLook = Date.now();
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
      // Nothing of this stream is used: the snapshot says where to go on.
      this.#stage = "awaiting-snapshot";
      this.#shut();
      link.connecting();
      this.#handlers.reset();
    });
    source.addEventListener("error", () => {
      link.lost();
      // The browser comes back by itself unless the server refused; then we do, for the server may be starting.
      if (source.readyState === EventSource.CLOSED && this.#source === source) this.#later();
    });
  }

  #shut(): void {
    clearTimeout(this.#retry);
    this.#source?.close();
    this.#source = null;
  }

  #heard(): void {
    this.#lastHeard = performance.now();
    link.heard();
  }

  readonly #onVisibility = (): void => {
    clearTimeout(this.#rest);
    if (document.hidden) {
      this.#rest = setTimeout(() => {
        this.#isResting = true;
        this.#shut();
        link.closed();
      }, HIDDEN_MS);
    } else if (this.#isResting) {
      this.#isResting = false;
      link.connecting();
      this.#open();
    }
  };

  #watch(): void {
    const now = Date.now();
    const hasSlept = now - this.#lastLook > SLEPT_MS;
    this.#lastLook = now;
    if (this.#source === null) return;
    const isSilent = performance.now() - this.#lastHeard >= SILENCE_MS;
    if (isSilent) link.lost();
    if (isSilent || hasSlept) this.#open();
  }

  #later(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => void this.#probe(), RETRY_MS);
  }

  /** An EventSource does not tell why it was refused: a request does. */
  async #probe(): Promise<void> {
    const refused = this.#source;
    const status = await knock();
    // A feed that was opened meanwhile is not to be opened again.
    if (this.#source !== refused) return;
    if (status === 401) access.lost();
    else this.#open();
  }
}
