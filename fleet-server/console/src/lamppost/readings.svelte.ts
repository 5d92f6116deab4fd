// The newest observation of each series of a lamppost. Only what is newer takes the place of what is shown.

import { SvelteMap } from "svelte/reactivity";

import type { Schemas } from "../api/client";
import type { LiveObservation } from "../live/feed";
import type { Observed } from "./points";
import { nameOf } from "./series";

export type Reading = Observed & { readonly period_ms: number | null };

type Listener = (observed: Observed) => void;

export class Readings {
  readonly #newest = new SvelteMap<string, Reading>();
  readonly #listeners = new Map<string, Set<Listener>>();
  #received_ms = $state<number | null>(null);

  /** What is shown of this series; undefined: it has never had an observation. */
  of(series: string): Reading | undefined {
    return this.#newest.get(series);
  }

  /** Whether nothing was ever observed. */
  get none(): boolean {
    return this.#newest.size === 0;
  }

  /** When the server last received an observation, as far as the feed has told. */
  get received_ms(): number | null {
    return this.#received_ms;
  }

  /** Calls with every observation of the series that the feed tells of, also late ones; returns how to end that. */
  listen(series: string, listener: Listener): () => void {
    const listeners = this.#listeners.get(series) ?? new Set();
    this.#listeners.set(series, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  snapshot(latest: readonly Schemas["LatestDocument"][]): void {
    for (const document of latest) {
      const { time, value, quality, reason, period_ms } = document;
      this.#show(nameOf(document), { time_ms: Date.parse(time), value, quality, reason, period_ms });
    }
  }

  follow(observations: readonly LiveObservation[]): void {
    for (const { series, time_ms, value = null, quality, reason, period_ms, received_ms } of observations) {
      const reading = { time_ms, value, quality, reason, period_ms };
      this.#show(series, reading);
      if (received_ms > (this.#received_ms ?? 0)) this.#received_ms = received_ms;
      this.#listeners.get(series)?.forEach((listener) => listener(reading));
    }
  }

  #show(series: string, reading: Reading): void {
    const shown = this.#newest.get(series);
    if (shown === undefined || reading.time_ms > shown.time_ms) this.#newest.set(series, reading);
  }
}
