// A document that is read again and again while its page is shown. What was read stays when a later reading fails. Of a
// list its first rows are read, and more when somebody wants to see them.

import { Problem } from "../api/client";
import { clock } from "./clock.svelte";
import { link } from "./link.svelte";

const EVERY_MS = 5_000;
/** Rows that are shown at first. */
const AT_ONCE = 50;
/** As many as the server tells at once. */
const MOST = 1000;

export class Polled<Document extends object> {
  document = $state.raw<Document | null>(null);
  problem = $state.raw<Problem | null>(null);
  #limit = $state(AT_ONCE);
  readonly #read: (signal: AbortSignal, limit: number) => Promise<Document>;
  #stop = new AbortController();
  #next: ReturnType<typeof setTimeout> | undefined;

  /** `limit`: of a list, how many rows are to be read. */
  constructor(read: (signal: AbortSignal, limit: number) => Promise<Document>) {
    this.#read = read;
  }

  /** Reads now, and then every few seconds; what was under way is given up. */
  start(): void {
    this.#end();
    this.#stop = new AbortController();
    link.connecting();
    void this.#look(this.#stop.signal);
  }

  /** Forgets what was read: another question is asked from now on. */
  restart(): void {
    [this.document, this.#limit] = [null, AT_ONCE];
    this.start();
  }

  /** Whether there are rows that `more` would show. */
  get hasMore(): boolean {
    const page: { next?: unknown } = this.document ?? {};
    return (page.next ?? null) !== null && this.#limit < MOST;
  }

  more(): void {
    this.#limit = Math.min(this.#limit * 2, MOST);
    this.start();
  }

  stop(): void {
    this.#end();
    link.closed();
  }

  #end(): void {
    this.#stop.abort();
    clearTimeout(this.#next);
  }

  async #look(signal: AbortSignal): Promise<void> {
    try {
      const document = await this.#read(signal, this.#limit);
      if (signal.aborted) return;
      if ("time" in document) clock.set(Date.parse(String(document.time)));
      link.heard();
      [this.document, this.problem] = [document, null];
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Problem)) throw error;
      this.problem = error;
      if (error.status === 0) link.lost();
    }
    this.#next = setTimeout(() => void this.#look(signal), EVERY_MS);
  }
}
