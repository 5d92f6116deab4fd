// What a chart and its table are made of, and what can be told from it without drawing anything.

import type { Schemas } from "../api/client";
import { bucketStart } from "./steps";

export type Statistic = Schemas["Statistic"];

/** A bucket, or an observation: then it begins where it ends, and counts one. */
export type Point = {
  readonly start: number;
  readonly end: number;
  readonly value: number | null;
  readonly minimum: number | null;
  readonly maximum: number | null;
  readonly good: number;
  readonly uncertain: number;
  readonly bad: number;
  /** Why an observation is less than good; null for buckets. */
  readonly reason: string | null;
};

export type Observed = {
  readonly time_ms: number;
  readonly value: number | null;
  readonly quality: Schemas["Quality"];
  readonly reason: string;
};

export type Window = { readonly from: number; readonly to: number };

export function pointOf({ time_ms, value, quality, reason }: Observed): Point {
  return {
    start: time_ms,
    end: time_ms,
    value,
    minimum: value,
    maximum: value,
    good: Number(quality === "good"),
    uncertain: Number(quality === "uncertain"),
    bad: Number(quality === "bad"),
    reason,
  };
}

export function fromObservations(observations: readonly Schemas["ObservationDocument"][]): Point[] {
  return observations.map(({ time, value, quality, reason }) =>
    pointOf({ time_ms: Date.parse(time), value, quality, reason }),
  );
}

export function fromBuckets(buckets: readonly Schemas["BucketDocument"][]): Point[] {
  return buckets.map((bucket) => ({
    start: Date.parse(bucket.start),
    end: Date.parse(bucket.end),
    value: bucket.value,
    minimum: bucket.minimum ?? null,
    maximum: bucket.maximum ?? null,
    good: bucket.good,
    uncertain: bucket.uncertain,
    bad: bucket.bad,
    reason: null,
  }));
}

/** When the first point of a window begins: its first bucket is whole. */
export function beginOf(window: Window, step_ms: number | null): number {
  return step_ms === null ? Math.floor(window.from) : bucketStart(window.from, step_ms);
}

/** The points of this window, without those that are kept only for the line to come from its edge. */
export function within(points: readonly Point[], window: Window, step_ms: number | null): readonly Point[] {
  const begin = beginOf(window, step_ms);
  return (points[0]?.start ?? Infinity) >= begin ? points : points.filter((point) => point.start >= begin);
}

export function middleOf(point: Point): number {
  return (point.start + point.end) / 2;
}

/** A point that can be drawn at its value. */
export type Valued = Point & { readonly value: number };

export function valuedOf(points: readonly Point[]): Valued[] {
  return points.filter((point): point is Valued => point.value !== null);
}

/** Points that a line joins, by index, both included. */
export type Run = { first: number; last: number };
/** A part of a run that is drawn in one way. */
export type Line = Run & { doubtful: boolean };

/** How far apart two points may be so that a line still joins them: three periods, or three steps. */
export function reachOf(step_ms: number | null, period_ms: number | null): number {
  const spacing = step_ms ?? period_ms;
  // What is reported by exception holds until the next report, however long that takes.
  return spacing === null || period_ms === null ? Infinity : 3 * spacing;
}

/** No line is drawn across a hole that is longer than this reach; what is in it without a value is no bridge. */
export function runsOf(points: readonly Valued[], reach_ms: number): Run[] {
  const runs: Run[] = [];
  points.forEach((point, index) => {
    const before = points[index - 1];
    const open = runs.at(-1);
    if (open !== undefined && before !== undefined && point.start - before.start <= reach_ms) {
      open.last = index;
    } else {
      runs.push({ first: index, last: index });
    }
  });
  return runs;
}

/** A run in parts: where either end of a stretch is in doubt, so is the stretch. */
export function linesOf(points: readonly Valued[], run: Run): Line[] {
  const doubtful = (index: number): boolean => (points[index]?.uncertain ?? 0) > 0;
  if (run.first === run.last) return [{ ...run, doubtful: doubtful(run.first) }];
  const lines: Line[] = [];
  for (let index = run.first; index < run.last; index++) {
    const doubt = doubtful(index) || doubtful(index + 1);
    const open = lines.at(-1);
    if (open?.doubtful === doubt) open.last = index + 1;
    else lines.push({ first: index, last: index + 1, doubtful: doubt });
  }
  return lines;
}

/** A chart is that much behind its series: it takes in what is new once a second. */
const BEHIND_MS = 2_000;

/**
 * From when on there may be data that has not come yet; null: all is here. A series is late after three periods, and
 * nothing of what is still to come can be here.
 */
export function pendingFrom(
  newest_ms: number | null,
  period_ms: number | null,
  window: Window,
  now_ms: number,
): number | null {
  const late = newest_ms !== null && period_ms !== null && now_ms - newest_ms > 3 * period_ms + BEHIND_MS;
  const from = late && newest_ms !== null ? newest_ms : now_ms;
  return from < window.to ? Math.max(from, window.from) : null;
}

/** The range of the vertical axis. It never magnifies the last digit of a value into a mountain. */
export function extentOf(
  statistic: Statistic,
  points: readonly Point[],
  resolution: number,
): readonly [number, number] {
  // Room for the points at north, of which there are two.
  if (statistic === "vector_mean") return [-12, 372];
  let low = Infinity;
  let high = -Infinity;
  for (const { value, minimum, maximum } of points) {
    if (value === null) continue;
    // A sum is not on the scale of what is summed up.
    low = Math.min(low, statistic === "sum" ? 0 : (minimum ?? value), value);
    high = Math.max(high, statistic === "sum" ? 0 : (maximum ?? value), value);
  }
  if (low > high) return [0, 1];
  const least = 20 * resolution;
  if (statistic === "sum") return [low * 1.08, Math.max(high * 1.08, low === 0 ? 5 * resolution : 0)];
  const missing = Math.max(0, least - (high - low)) / 2;
  const margin = Math.max(missing, (high - low) * 0.08);
  return [low >= 0 ? Math.max(0, low - margin) : low - margin, high + margin];
}

/** Index of the point whose middle is nearest to this time; -1 if there are none. */
export function nearestTo(points: readonly Point[], time_ms: number): number {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const half = (low + high) >> 1;
    const point = points[half];
    if (point !== undefined && middleOf(point) < time_ms) low = half + 1;
    else high = half;
  }
  const after = points[low];
  const before = points[low - 1];
  if (after === undefined) return points.length - 1;
  if (before === undefined) return low;
  return time_ms - middleOf(before) <= middleOf(after) - time_ms ? low - 1 : low;
}

export type Summary = {
  readonly least: number | null;
  readonly greatest: number | null;
  /** Of the values. */
  readonly total: number;
  readonly good: number;
  readonly uncertain: number;
  readonly bad: number;
};

export function summaryOf(points: readonly Point[]): Summary {
  let least: number | null = null;
  let greatest: number | null = null;
  let [total, good, uncertain, bad] = [0, 0, 0, 0];
  for (const point of points) {
    if (point.minimum !== null) least = Math.min(least ?? Infinity, point.minimum);
    if (point.maximum !== null) greatest = Math.max(greatest ?? -Infinity, point.maximum);
    total += point.value ?? 0;
    good += point.good;
    uncertain += point.uncertain;
    bad += point.bad;
  }
  return { least, greatest, total, good, uncertain, bad };
}

export type Page = {
  /** Newest first. */
  readonly rows: readonly Point[];
  /** `before` of the page with what is older; null on the last one. */
  readonly older: number | null;
  /** `before` of the page with what is newer; undefined on the first one. */
  readonly newer: number | null | undefined;
};

/**
 * A page of a table, newest first. `before` is the begin of the first row that is not shown any more; null: the newest
 * page. A page keeps its rows while new ones come.
 */
export function pageOf(points: readonly Point[], before: number | null, size: number): Page {
  const found = before === null ? -1 : points.findIndex((point) => point.start >= before);
  const end = found === -1 ? points.length : found;
  const begin = Math.max(0, end - size);
  const rows = points.slice(begin, end).reverse();
  const next = points[Math.min(points.length, end + size)];
  return {
    rows,
    older: begin > 0 ? (points[begin]?.start ?? null) : null,
    newer: end === points.length ? undefined : (next?.start ?? null),
  };
}
