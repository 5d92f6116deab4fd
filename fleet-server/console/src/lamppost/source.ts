// One series as the server has it: what it holds in memory, asked for page by page, and from when on that is.

import { get, Problem, type Schemas } from "../api/client";
import { fromBuckets, fromObservations, type Point, type Window } from "./points";
import type { Series } from "./series";
import { firstWhole, stepParameter } from "./steps";

const PATH = "/api/v1/lampposts/{number}/series/{device}/{property}";
const PAGE = 10_000;
/** How far past the begin of the server's memory it is asked, if that has moved on meanwhile; then four times as far. */
const LEEWAY_MS = 1_000;

export class Source {
  readonly #path: { readonly number: string; readonly device: string; readonly property: string };
  readonly #channel: { readonly channel?: string };
  /** The server is not asked for what is known to be out of its memory. */
  #known_floor_ms: number;

  constructor(lamppost: string, { device, property, channel, floor_ms }: Series) {
    this.#path = { number: lamppost, device, property };
    this.#channel = channel === null ? {} : { channel };
    this.#known_floor_ms = floor_ms ?? -Infinity;
  }

  /**
   * The points of this window; with a step, of whole buckets only. `floor_ms`: if the window begins before what the
   * server holds, from when on it has been asked.
   */
  async points(
    window: Window,
    step_ms: number | null,
    signal: AbortSignal,
  ): Promise<{ points: Point[]; floor_ms: number | null }> {
    const ask = (from: number) => this.#all({ from, to: window.to }, step_ms, signal);
    const { answer, floor_ms } = await this.#remembered(window, step_ms, ask);
    return { points: answer ?? [], floor_ms };
  }

  /** From when on the server has this window now; null: all of it. */
  async floor(window: Window, signal: AbortSignal): Promise<number | null> {
    const ask = (from: number) => {
      const query = { ...this.#channel, from: iso(from), to: iso(window.to), limit: 1 };
      return get(PATH, { path: this.#path, query, signal });
    };
    return (await this.#remembered(window, null, ask)).floor_ms;
  }

  async #remembered<Answer>(
    window: Window,
    step_ms: number | null,
    ask: (from_ms: number) => Promise<Answer>,
  ): Promise<{ answer: Answer | null; floor_ms: number | null }> {
    let leeway_ms = 0;
    for (;;) {
      const floor_ms = this.#known_floor_ms > window.from ? this.#known_floor_ms + leeway_ms : null;
      const from = floor_ms === null ? window.from : firstWhole(floor_ms, step_ms);
      if (from >= window.to) return { answer: null, floor_ms };
      try {
        return { answer: await ask(from), floor_ms };
      } catch (problem) {
        if (!(problem instanceof Problem) || problem.floor_ms === null) throw problem;
        // The memory of the server moves on: what it names now may be gone when it is asked again.
        this.#known_floor_ms = Math.max(this.#known_floor_ms, problem.floor_ms);
        leeway_ms = leeway_ms === 0 ? LEEWAY_MS : 4 * leeway_ms;
      }
    }
  }

  async #all({ from, to }: Window, step_ms: number | null, signal: AbortSignal): Promise<Point[]> {
    const query = {
      ...this.#channel,
      from: iso(from),
      to: iso(to),
      ...(step_ms === null ? { limit: PAGE } : { step: stepParameter(step_ms) }),
    };
    const points: Point[] = [];
    let after: string | null = null;
    do {
      const data: Schemas["SeriesData"] = await get(PATH, {
        path: this.#path,
        query: after === null ? query : { ...query, after },
        signal,
      });
      if ("buckets" in data) return fromBuckets(data.buckets);
      points.push(...fromObservations(data.observations));
      after = data.next;
    } while (after !== null);
    return points;
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
