// A page's data: a snapshot, and the changes that follow it without a gap. Whatever goes wrong (a server that starts, a
// lost connection, a feed that cannot be resumed) ends in a new snapshot; until then the page keeps what it has, and the
// shell says that the link is lost.

import { Problem } from "../api/client";
import { Feed, type Changes, type FeedQuery } from "./feed";
import { link } from "./link.svelte";

const AGAIN_MS = 3_000;
/** A feed that comes back by itself is there sooner; one that does not, of a server that answers, is done without. */
const UNFED_MS = 4_000;

export class Following {
  #phase = $state<"loading" | "ready" | "failed">("loading");
  #problem = $state<Problem | null>(null);
  readonly #query: FeedQuery;
  readonly #load: (signal: AbortSignal) => Promise<string>;
  readonly #apply: (changes: Changes) => void;
  readonly #stop = new AbortController();
  #feed: Feed | null = null;
  /** Ends the snapshot that is being read: there is never more than one. */
  #reading: AbortController | null = null;
  /** Since when the server answers while its feed is not live. */
  #unfed: number | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;

  /**
   * `load` reads and shows the snapshot and returns its `event_id`; `apply` takes the changes after it. Call
   * {@link close} when the page goes.
   */
  constructor(
    query: FeedQuery,
    load: (signal: AbortSignal) => Promise<string>,
    apply: (changes: Changes) => void,
  ) {
    this.#query = query;
    this.#load = load;
    this.#apply = apply;
    void this.#snapshot();
  }

  /**
   * `failed` while there is nothing to show, and when the server refuses: a page that has something keeps it for as long
   * as the problem may pass.
   */
  get phase(): "loading" | "ready" | "failed" {
    return this.#phase;
  }

  get problem(): Problem | null {
    return this.#problem;
  }

  /** Reads the snapshot anew, now. */
  reload(): void {
    void this.#snapshot();
  }

  /**
   * To be called when the server has answered something else than the snapshot: if it does that for a while, and its feed
   * is not live, the snapshot takes the place of the feed. True if it is read anew.
   */
  catchUp(): boolean {
    if (link.state === "live") this.#unfed = null;
    else this.#unfed ??= performance.now();
    // One that takes long is not to be begun again and again.
    if (this.#unfed === null || this.#reading !== null) return false;
    if (performance.now() - this.#unfed < UNFED_MS) return false;
    this.reload();
    return true;
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#again);
    this.#feed?.close();
    // What a snapshot without a feed has said of the link is over, too.
    link.closed();
  }

  async #snapshot(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    clearTimeout(this.#again);
    this.#reading?.abort();
    const reading = new AbortController();
    this.#reading = reading;
    const signal = AbortSignal.any([this.#stop.signal, reading.signal]);
    try {
      const after = await this.#load(signal);
      if (!signal.aborted) this.#goOn(after);
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#failed(problem);
    } finally {
      if (this.#reading === reading) this.#reading = null;
    }
  }

  #failed(problem: Problem): void {
    this.#problem = problem;
    if (problem.mayPass) {
      if (this.#phase !== "ready") this.#phase = "failed";
      link.lost();
      this.#again = setTimeout(() => void this.#snapshot(), AGAIN_MS);
    } else {
      // What the server refuses (no such lamppost) is no lost link, and what was shown is no more.
      this.#phase = "failed";
      this.#feed?.close();
      this.#feed = null;
      link.closed();
    }
  }

  #goOn(after: string): void {
    this.#phase = "ready";
    this.#problem = null;
    if (this.#feed === null) {
      this.#feed = new Feed(this.#query, after, {
        changes: this.#apply,
        reset: () => void this.#snapshot(),
      });
    } else {
      this.#feed.resume(after);
    }
  }
}
