// A page's data: a snapshot, and the changes that follow it without a gap. Whatever goes wrong (a server that starts, a
// lost connection, a feed that cannot be resumed) ends in a new snapshot; until then the page keeps what it has, and the
// shell says that the link is lost.

import { Problem } from "../api/client";
import { Feed, type Changes, type FeedQuery } from "./feed";
import { link } from "./link.svelte";

const AGAIN_MS = 3_000;

export class Following {
  #phase = $state<"loading" | "ready" | "failed">("loading");
  #problem = $state<Problem | null>(null);
  readonly #query: FeedQuery;
  readonly #load: (signal: AbortSignal) => Promise<string>;
  readonly #apply: (changes: Changes) => void;
  readonly #stop = new AbortController();
  #feed: Feed | null = null;
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

  /** `failed` only while there is nothing to show; a page that has something keeps it. */
  get phase(): "loading" | "ready" | "failed" {
    return this.#phase;
  }

  get problem(): Problem | null {
    return this.#problem;
  }

  /** Reads the snapshot anew, now. */
  reload(): void {
    clearTimeout(this.#again);
    void this.#snapshot();
  }

  close(): void {
    this.#stop.abort();
    clearTimeout(this.#again);
    this.#feed?.close();
  }

  async #snapshot(): Promise<void> {
    let after: string;
    try {
      after = await this.#load(this.#stop.signal);
    } catch (problem) {
      if (this.#stop.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#problem = problem;
      if (this.#phase !== "ready") this.#phase = "failed";
      // What the server refuses (no such lamppost) is no lost link.
      if (problem.mayPass) link.lost();
      else link.closed();
      if (problem.mayPass) this.#again = setTimeout(() => void this.#snapshot(), AGAIN_MS);
      return;
    }
    if (this.#stop.signal.aborted) return;
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
