import { expect, test } from "vitest";

import { fold, spliced, type Manner } from "./fold";
import { pointOf, type Observed, type Point, type Statistic } from "./points";

const S = 1_000;

test("an observation is appended to observations", () => {
  const folded = fold([point(2)], 2 * S, seen(4, 7), manner(null, "mean"));
  expect(folded.points.map(({ start, value }) => [start, value])).toEqual([
    [2 * S, 1],
    [4 * S, 7],
  ]);
  expect([folded.held_ms, folded.ask_ms]).toEqual([4 * S, null]);
});

test("after a hole the server is asked again from there", () => {
  expect(fold([point(2)], 2 * S, seen(8), manner(null, "mean")).ask_ms).toBe(2 * S);
  expect(fold([], 2 * S, seen(8), manner(10, "mean")).ask_ms).toBe(2 * S);
  // The first one of all comes after nothing.
  expect(fold([], -Infinity, seen(8), manner(null, "mean")).ask_ms).toBeNull();
});

test("what comes late changes nothing by itself, and is asked for", () => {
  const points = [point(2), point(8)];
  const folded = fold(points, 8 * S, seen(4), manner(null, "mean"));
  expect(folded).toEqual({ points, held_ms: 8 * S, ask_ms: 4 * S });
});

test("a series by exception has no holes that could be seen: its end is asked for", () => {
  const by = { step_ms: 10 * S, period_ms: null, statistic: "last" } as const;
  expect(fold([], 2 * S, seen(4), by).ask_ms).toBe(2 * S);
});

test("an open bucket is added to as its statistic says", () => {
  const values: Record<Statistic, number> = {
    mean: 4,
    energy_mean: 10 * Math.log10((2 * 10 ** 0.3 + 10 ** 0.6) / 3),
    sum: 9,
    last: 6,
    maximum: 6,
    vector_mean: 3.9999,
  };
  for (const [statistic, value] of Object.entries(values) as [Statistic, number][]) {
    const folded = fold([bucket(3, 2)], 12 * S, seen(14, 6), manner(10, statistic));
    expect(folded.points).toHaveLength(1);
    expect(folded.points[0]?.value, statistic).toBeCloseTo(value, 3);
    expect(folded.points[0]?.good).toBe(3);
  }
});

test("the mean of folding one by one is that of all", () => {
  const values = [3.1, 2.7, 9.4, -1.2, 0.3];
  let points: readonly Point[] = [];
  let held = -Infinity;
  values.forEach((value, index) => {
    ({ points, held_ms: held } = fold(points, held, seen(10 + 2 * index, value), manner(10, "mean")));
  });
  expect(points).toHaveLength(1);
  expect(points[0]).toMatchObject({ start: 10 * S, end: 20 * S, minimum: -1.2, maximum: 9.4, good: 5 });
  expect(points[0]?.value).toBeCloseTo(values.reduce((sum, value) => sum + value) / 5, 10);
});

test("a new bucket begins at a whole multiple of the step", () => {
  const folded = fold([bucket(3, 5)], 18 * S, seen(20, 6), manner(10, "mean"));
  expect(folded.points[1]).toMatchObject({ start: 20 * S, end: 30 * S, value: 6, good: 1, reason: null });
});

test("a bad observation is counted and changes no value; the first value after it is the value", () => {
  const [counted] = fold([bucket(3, 2)], 12 * S, seen(14, null), manner(10, "mean")).points;
  expect(counted).toMatchObject({ value: 3, good: 2, bad: 1 });
  const empty = { ...bucket(3, 0), value: null, minimum: null, maximum: null, bad: 2 };
  const [first] = fold([empty], 12 * S, seen(14, 8), manner(10, "mean")).points;
  expect(first).toMatchObject({ start: 10 * S, end: 20 * S, value: 8, minimum: 8, good: 1, bad: 2 });
});

test("directions turn across north, have no least, and are asked for again", () => {
  const folded = fold([bucket(350, 1)], 12 * S, seen(14, 10), manner(10, "vector_mean"));
  const value = folded.points[0]?.value ?? NaN;
  expect(Math.min(value, 360 - value)).toBeCloseTo(0, 6);
  expect(folded.points[0]).toMatchObject({ minimum: null, maximum: null });
  expect(folded.ask_ms).toBe(10 * S);
});

test("what the server answers takes the place of what was there from then on", () => {
  const starts = spliced([point(2), point(4), point(6)], 4 * S, [point(4), point(5)]);
  expect(starts.map(({ start }) => start / S)).toEqual([2, 4, 5]);
});

function manner(step_s: number | null, statistic: Statistic): Manner {
  return { step_ms: step_s === null ? null : step_s * S, period_ms: 2 * S, statistic };
}

function seen(seconds: number, value: number | null = 1): Observed {
  return value === null
    ? { time_ms: seconds * S, value, quality: "bad", reason: "no-answer" }
    : { time_ms: seconds * S, value, quality: "good", reason: "good" };
}

function point(seconds: number): Point {
  return pointOf(seen(seconds));
}

/** From 10 s to 20 s. */
function bucket(value: number, good: number): Point {
  const counts = { good, uncertain: 0, bad: 0 };
  return { start: 10 * S, end: 20 * S, value, minimum: value, maximum: value, ...counts, reason: null };
}
