// One series over the range that its chart shows: asked for once, then kept up to date by the live feed, and asked for
// again from where the feed cannot tell all.

import { Problem } from "../api/client";
import { clock } from "../live/clock.svelte";
import { fold, spliced } from "./fold";
import type { Observed, Point, Window } from "./points";
import { isSame, spanOf, windowAt, type Range } from "./range";
import type { Readings } from "./readings.svelte";
import type { Series } from "./series";
import { Source } from "./source";
import { bucketStart, firstWhole, stepFor } from "./steps";

/** Observations that wait for the next tick. More than these and the server is asked for all of them at once. */
const MOST_WAITING = 256;
/** The server is asked about the end of the range at most this often. */
const ASK_EVERY_MS = 2_000;

type Shown = {
  readonly range: Range;
  readonly width_px: number;
  readonly step_ms: number | null;
  /** Counts snapshots of the page: after a new one, the feed may have left something out. */
  readonly generation: number;
};

export class Trace {
  readonly #series: Series;
  readonly #source: Source;
  readonly #readings: Readings;
  readonly #unlisten: () => void;
  readonly #left = new AbortController();
  #shown: Shown | null = null;
  #request: AbortController | null = null;
  #waiting: Observed[] = [];
  #ask_ms: number | null = null;
  #asked = -Infinity;

  #phase = $state<"loading" | "ready" | "failed">("loading");
  #problem = $state.raw<Problem | null>(null);
  #points = $state.raw<readonly Point[]>([]);
  #step_ms = $state<number | null>(null);
  #held_ms = $state(-Infinity);
  #window = $state.raw<Window>({ from: 0, to: 1 });
  #floor_ms = $state<number | null>(null);

  constructor(lamppost: string, series: Series, readings: Readings) {
    this.#series = series;
    this.#source = new Source(lamppost, series);
    this.#readings = readings;
    this.#unlisten = readings.listen(series.name, (observed) => this.#wait(observed));
  }

  /** `loading` also while another range is on its way; until it is there, the points are those of the one before. */
  get phase(): "loading" | "ready" | "failed" {
    return this.#phase;
  }

  get problem(): Problem | null {
    return this.#problem;
  }

  get points(): readonly Point[] {
    return this.#points;
  }

  /** Of the points; null: they are observations. */
  get step_ms(): number | null {
    return this.#step_ms;
  }

  /** Time of the newest observation that has come, as of the last tick; null: none ever has. */
  get newest_ms(): number | null {
    return this.#held_ms === -Infinity ? null : this.#held_ms;
  }

  get window(): Window {
    return this.#window;
  }

  /** If the range begins before what the server holds in memory: from when on it can be asked for. */
  get floor_ms(): number | null {
    return this.#floor_ms;
  }

  /** Shows this range in a chart of so many pixels. Does nothing if that is what it shows. */
  show(range: Range, width_px: number, generation: number): void {
    const step_ms = stepFor(spanOf(range), width_px, this.#series.period_ms);
    const shown = this.#shown;
    const same =
      shown !== null &&
      isSame(shown.range, range) &&
      shown.step_ms === step_ms &&
      shown.generation === generation &&
      this.#phase !== "failed";
    if (same) return;
    this.#shown = { range, width_px, step_ms, generation };
    this.#window = windowAt(range, clock.exact());
    this.#phase = "loading";
    void this.#load(null);
  }

  /** Asks for all of it again. */
  again(): void {
    if (this.#shown === null) return;
    this.#phase = "loading";
    void this.#load(null);
  }

  /** Moves on with the clock and takes in what came since: once a second, while the chart is in view. */
  tick(): void {
    const shown = this.#shown;
    if (shown === null || this.#phase !== "ready" || this.#request !== null) return;
    this.#slide(shown);
    this.#takeIn(shown);
    const due = this.#ask_ms !== null && performance.now() - this.#asked >= ASK_EVERY_MS;
    if (due) void this.#load(this.#ask_ms);
  }

  /**
   * Asks from when on the server has this window now: its memory moves on while a page is open. What is gone from it
   * goes from the points, which are what the server answers. Without an answer all stays as it is.
   */
  async recall(window: Window): Promise<void> {
    try {
      const floor_ms = await this.#source.floor(window, this.#left.signal);
      if (floor_ms !== null) this.#forget(floor_ms);
    } catch (problem) {
      if (!this.#left.signal.aborted && !(problem instanceof Problem)) throw problem;
    }
  }

  close(): void {
    this.#unlisten();
    this.#left.abort();
    this.#request?.abort();
  }

  #wait(observed: Observed): void {
    if (this.#waiting.length >= MOST_WAITING) {
      // There may be more than they are also before them.
      this.#ask(Math.min(this.#held_ms, ...this.#waiting.map((one) => one.time_ms)));
      this.#waiting = [];
    }
    this.#waiting.push(observed);
  }

  #ask(from_ms: number): void {
    this.#ask_ms = Math.min(this.#ask_ms ?? Infinity, from_ms);
  }

  #slide(shown: Shown): void {
    if (shown.range.kind === "fixed") return;
    const window = windowAt(shown.range, clock.exact());
    // What moves by less than half a pixel need not be drawn anew.
    if (window.to - this.#window.to < (window.to - window.from) / shown.width_px / 2) return;
    this.#window = window;
    const kept = window.from - (this.#step_ms ?? this.#series.period_ms ?? 0);
    if ((this.#points[0]?.end ?? Infinity) < kept) {
      this.#points = this.#points.filter((point) => point.end >= kept);
    }
  }

  #takeIn({ range }: Shown): void {
    const end = range.kind === "fixed" ? range.to : Infinity;
    const begin = this.#window.from - (this.#step_ms ?? 0);
    const manner = { ...this.#series, step_ms: this.#step_ms };
    for (const observed of this.#waiting) {
      if (observed.time_ms >= end) continue;
      const folded = fold(this.#points, this.#held_ms, observed, manner);
      this.#points = folded.points;
      this.#held_ms = folded.held_ms;
      // What came late for a time that is not shown changes nothing here. A hole ends at what has come, wherever it
      // begins.
      if (folded.ask_ms !== null && observed.time_ms >= begin) this.#ask(folded.ask_ms);
    }
    this.#waiting = [];
  }

  /** The server's memory begins here. */
  #forget(floor_ms: number): void {
    this.#floor_ms = Math.max(this.#floor_ms ?? -Infinity, floor_ms);
    const begin = firstWhole(this.#floor_ms, this.#step_ms);
    this.#points = this.#points.filter((point) => point.start >= begin);
  }

  /** Asks for the points from this time on; null: for all of them. */
  async #load(from_ms: number | null): Promise<void> {
    const shown = this.#shown;
    if (shown === null) return;
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    this.#asked = performance.now();
    this.#ask_ms = null;
    const window = this.#window;
    const step_ms = from_ms === null ? shown.step_ms : this.#step_ms;
    const begin = Math.max(window.from, from_ms ?? window.from);
    // Whole buckets only: the first one is not to grow shorter while the range moves on.
    const from = step_ms === null ? begin : bucketStart(begin, step_ms);
    // What is newer than the newest that was told of comes by the feed, and is not to be counted twice.
    const newest = this.#readings.of(this.#series.name)?.time_ms ?? -Infinity;
    const end = shown.range.kind === "fixed" ? Math.min(shown.range.to, newest + 1) : newest + 1;
    // So is what was told of while this was not asked for yet.
    this.#waiting = this.#waiting.filter((observed) => observed.time_ms >= end);
    try {
      const { points, floor_ms } = await this.#source.points({ from, to: end }, step_ms, request.signal);
      this.#points = from_ms === null ? points : spliced(this.#points, from, points);
      this.#step_ms = step_ms;
      this.#held_ms = newest;
      if (from_ms === null) this.#floor_ms = floor_ms;
      else if (floor_ms !== null) this.#forget(floor_ms);
      this.#problem = null;
      this.#phase = "ready";
    } catch (problem) {
      if (request.signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      // The end of a range that is shown is asked for again; without a range there is nothing to show.
      if (from_ms !== null && problem.mayPass) this.#ask(from_ms);
      else {
        this.#problem = problem;
        this.#phase = "failed";
      }
    }
    if (this.#request === request) this.#request = null;
  }
}
