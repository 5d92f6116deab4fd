// How long the buckets of a chart are: as short as its pixels can show, in lengths that people count in.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const NICE_MS: readonly number[] = [
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500],
  ...[1, 2, 4, 5, 6, 10, 12, 15, 20, 30].map((many) => many * SECOND),
  ...[1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30].map((many) => many * MINUTE),
  ...[1, 2, 3, 4, 6, 8, 12].map((many) => many * HOUR),
  ...[1, 2, 5, 10, 30].map((many) => many * DAY),
];

/** Between marks of an axis on which lengths of time are, in seconds. */
export const LENGTHS_S: readonly number[] = [
  ...NICE_MS.filter((length) => length >= SECOND && length < DAY).map((length) => length / SECOND),
  ...[1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000].map(
    (days) => (days * DAY) / SECOND,
  ),
];

const PIXELS_PER_BUCKET = 2;
/** A series without a period is asked for one by one only over so short a range that there cannot be too many. */
const BY_EXCEPTION_RAW_MS = MINUTE;

/**
 * The step for a range in a chart of so many pixels; null: the observations themselves, for there is at most one for each
 * bucket that the chart could show.
 *
 * A bucket holds whole periods: one that held now two and now three observations would make the sums of an even series
 * uneven. So no step is ever shorter than the period.
 */
export function stepFor(span_ms: number, width_px: number, period_ms: number | null): number | null {
  const least = span_ms / Math.max(1, Math.floor(width_px / PIXELS_PER_BUCKET));
  if (period_ms === null) {
    if (span_ms <= BY_EXCEPTION_RAW_MS) return null;
    const enough = Math.max(least, SECOND);
    return NICE_MS.find((step) => step >= enough) ?? Math.ceil(least / DAY) * DAY;
  }
  if (least <= period_ms) return null;
  const nice = NICE_MS.find((step) => step >= least && step % period_ms === 0);
  const whole = Math.ceil(least / period_ms) * period_ms;
  return nice !== undefined && nice <= 2 * whole ? nice : whole;
}

/** As the API takes it: seconds. */
export function stepParameter(step_ms: number): string {
  return String(step_ms / SECOND);
}

/** The begin of the bucket that this time is in: a whole multiple of the step since 1970. */
export function bucketStart(time_ms: number, step_ms: number): number {
  return Math.floor(time_ms / step_ms) * step_ms;
}

/** The first begin of a bucket that is not before this time: a bucket of which the begin is gone would be smaller. */
export function firstWhole(time_ms: number, step_ms: number | null): number {
  return step_ms === null ? time_ms : Math.ceil(time_ms / step_ms) * step_ms;
}

/** The greatest unit that a duration is a whole number of: a step of 90 s is not "1 min". */
export function wholeUnits(ms: number): {
  value: number;
  unit: "day" | "hour" | "minute" | "second" | "millisecond";
} {
  const units = [
    ["day", DAY],
    ["hour", HOUR],
    ["minute", MINUTE],
    ["second", SECOND],
  ] as const;
  for (const [unit, length] of units) {
    if (ms >= length && ms % length === 0) return { value: ms / length, unit };
  }
  return ms >= SECOND ? { value: ms / SECOND, unit: "second" } : { value: ms, unit: "millisecond" };
}
