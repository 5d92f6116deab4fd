// Live observations become part of what a chart shows, as the server would have summed them up.

import { pointOf, type Observed, type Point, type Statistic } from "./points";
import { bucketStart } from "./steps";

export type Manner = {
  readonly step_ms: number | null;
  readonly period_ms: number | null;
  readonly statistic: Statistic;
};

export type Folded = {
  readonly points: readonly Point[];
  /** The newest time that is in the points. */
  readonly held_ms: number;
  /** From when on the server has to be asked again; null: the points are what it would answer. */
  readonly ask_ms: number | null;
};

/**
 * Takes one observation in. `held_ms`: everything up to then is in the points, and nothing past it.
 *
 * The feed tells of each series only the latest: one that comes after a hole, or late, says that there is more than it
 * shows. A bucket of directions cannot be added to without the sum of its vectors.
 */
export function fold(points: readonly Point[], held_ms: number, observed: Observed, manner: Manner): Folded {
  const { step_ms, period_ms, statistic } = manner;
  const time = observed.time_ms;
  if (time <= held_ms) return { points, held_ms, ask_ms: time };
  const hole = period_ms === null || (held_ms > -Infinity && time - held_ms > 1.5 * period_ms);
  if (step_ms === null) {
    return { points: [...points, pointOf(observed)], held_ms: time, ask_ms: hole ? held_ms : null };
  }
  const start = bucketStart(time, step_ms);
  const last = points.at(-1);
  const open = last !== undefined && last.start === start;
  const bucket = open
    ? added(last, observed, statistic)
    : { ...pointOf(observed), start, end: start + step_ms, reason: null };
  const ask = hole ? held_ms : statistic === "vector_mean" && open ? start : null;
  return {
    points: [...(open ? points.slice(0, -1) : points), directionless(bucket, statistic)],
    held_ms: time,
    ask_ms: ask,
  };
}

/** What the server answered from `from` on takes the place of what was there. */
export function spliced(points: readonly Point[], from_ms: number, answered: readonly Point[]): Point[] {
  return [...points.filter((point) => point.start < from_ms), ...answered];
}

function added(bucket: Point, observed: Observed, statistic: Statistic): Point {
  const one = pointOf(observed);
  const counts = {
    good: bucket.good + one.good,
    uncertain: bucket.uncertain + one.uncertain,
    bad: bucket.bad + one.bad,
  };
  if (observed.value === null) return { ...bucket, ...counts };
  if (bucket.value === null) return { ...one, ...counts, start: bucket.start, end: bucket.end, reason: null };
  const many = bucket.good + bucket.uncertain;
  return {
    ...bucket,
    ...counts,
    value: combined(bucket.value, many, observed.value, statistic),
    minimum: Math.min(bucket.minimum ?? observed.value, observed.value),
    maximum: Math.max(bucket.maximum ?? observed.value, observed.value),
  };
}

function combined(value: number, many: number, one: number, statistic: Statistic): number {
  switch (statistic) {
    case "mean":
      return value + (one - value) / (many + 1);
    case "energy_mean":
      return 10 * Math.log10((many * 10 ** (value / 10) + 10 ** (one / 10)) / (many + 1));
    case "vector_mean":
      return direction(value, many, one);
    case "sum":
      return value + one;
    case "last":
      return one;
    case "maximum":
      return Math.max(value, one);
  }
}

/** As if all directions so far had been their mean: good enough until the server answers. */
function direction(value: number, many: number, one: number): number {
  const radians = (degrees: number): number => (degrees * Math.PI) / 180;
  const east = many * Math.sin(radians(value)) + Math.sin(radians(one));
  const north = many * Math.cos(radians(value)) + Math.cos(radians(one));
  return ((Math.atan2(east, north) * 180) / Math.PI + 360) % 360;
}

/** No direction is the least. */
function directionless(bucket: Point, statistic: Statistic): Point {
  return statistic === "vector_mean" ? { ...bucket, minimum: null, maximum: null } : bucket;
}
