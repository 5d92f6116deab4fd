// The catalogue of observed properties: read once, and again until it is there or the page is left.

import { get, Problem, type Schemas } from "../api/client";

/** What the page needs of a property. */
export type Property = Pick<
  Schemas["PropertyDocument"],
  "name" | "title_en" | "title_zh" | "unit" | "resolution" | "statistic" | "theme"
>;

const AGAIN_MS = 3_000;

export class Catalogue {
  #properties: readonly Property[] | null = $state.raw(null);
  #problem: Problem | null = $state.raw(null);
  readonly #left = new AbortController();
  /** Ends the reading that is under way: there is never more than one, however often somebody tries again. */
  #reading: AbortController | null = null;
  #again: ReturnType<typeof setTimeout> | undefined;

  /** Null until it is there. */
  get properties(): readonly Property[] | null {
    return this.#properties;
  }

  /** Why it is not there. */
  get problem(): Problem | null {
    return this.#problem;
  }

  /** Reads it, now; what the server cannot answer for the moment is asked for again by itself. */
  async read(): Promise<void> {
    if (this.#left.signal.aborted) return;
    clearTimeout(this.#again);
    this.#reading?.abort();
    this.#reading = new AbortController();
    const signal = AbortSignal.any([this.#left.signal, this.#reading.signal]);
    try {
      const { properties } = await get("/api/v1/catalogue", { signal });
      if (signal.aborted) return;
      this.#properties = properties;
      this.#problem = null;
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      this.#problem = problem;
      if (problem.mayPass) this.#again = setTimeout(() => void this.read(), AGAIN_MS);
    }
  }

  /** Nothing is asked for any more. */
  close(): void {
    this.#left.abort();
    clearTimeout(this.#again);
  }
}
