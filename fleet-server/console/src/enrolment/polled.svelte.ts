// A document that is read again and again while its page is shown. What was read stays when a later reading fails.

import { Problem } from "../api/client";
import { clock } from "../live/clock.svelte";
import { link } from "../live/link.svelte";

const EVERY_MS = 5_000;

export class Polled<Document extends object> {
  document = $state.raw<Document | null>(null);
  problem = $state.raw<Problem | null>(null);
  readonly #read: (signal: AbortSignal) => Promise<Document>;
  #stop = new AbortController();
  #next: ReturnType<typeof setTimeout> | undefined;

  constructor(read: (signal: AbortSignal) => Promise<Document>) {
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
    this.document = null;
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
      const document = await this.#read(signal);
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

/** What a problem says, for people. */
export function problemText(problem: Problem, unreachable: string): string {
  return problem.status === 0 ? unreachable : problem.message || problem.title;
}
