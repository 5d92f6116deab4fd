import { expect, test } from "vitest";

import {
  extentOf,
  fromBuckets,
  fromObservations,
  linesOf,
  nearestTo,
  pageOf,
  pendingFrom,
  pointOf,
  reachOf,
  runsOf,
  summaryOf,
  valuedOf,
  type Point,
  type Valued,
} from "./points";

const S = 1_000;

test("no line crosses a hole that is longer than three periods", () => {
  const points = valuedOf([at(0), at(2), at(8), at(15), at(17)]);
  expect(runsOf(points, reachOf(null, 2 * S))).toEqual([
    { first: 0, last: 2 },
    { first: 3, last: 4 },
  ]);
});

test("for buckets a hole is longer than three steps", () => {
  expect(reachOf(20 * S, 2 * S)).toBe(60 * S);
  const points = valuedOf([0, 20, 80, 141].map((s) => ({ ...at(s), end: (s + 20) * S })));
  expect(runsOf(points, 60 * S)).toEqual([
    { first: 0, last: 2 },
    { first: 3, last: 3 },
  ]);
});

test("what is reported by exception holds until the next report", () => {
  expect(reachOf(null, null)).toBe(Infinity);
  expect(reachOf(60 * S, null)).toBe(Infinity);
  expect(runsOf(valuedOf([at(0), at(86_400)]), Infinity)).toEqual([{ first: 0, last: 1 }]);
});

test("what is bad bridges no hole, and a short run of it makes none", () => {
  const short = valuedOf([at(0), bad(2), bad(4), at(6)]);
  expect(runsOf(short, 6 * S)).toEqual([{ first: 0, last: 1 }]);
  const long = valuedOf([at(0), bad(2), bad(4), bad(6), at(8)]);
  expect(runsOf(long, 6 * S)).toEqual([
    { first: 0, last: 0 },
    { first: 1, last: 1 },
  ]);
});

test("nothing to draw is no run", () => {
  expect(runsOf([], 1)).toEqual([]);
  expect(runsOf(valuedOf([bad(1)]), 1)).toEqual([]);
});

test("a stretch is in doubt if either end is", () => {
  const points = valuedOf([at(0), at(1), doubtful(2), at(3), at(4)]);
  expect(linesOf(points, { first: 0, last: 4 })).toEqual([
    { first: 0, last: 1, doubtful: false },
    { first: 1, last: 3, doubtful: true },
    { first: 3, last: 4, doubtful: false },
  ]);
  expect(linesOf([doubtful(0)], { first: 0, last: 0 })).toEqual([{ first: 0, last: 0, doubtful: true }]);
});

test("data of a late series may still come from its newest on", () => {
  const window = { from: 0, to: 100 * S };
  expect(pendingFrom(97 * S, 2 * S, window, 100 * S)).toBeNull();
  expect(pendingFrom(80 * S, 2 * S, window, 100 * S)).toBe(80 * S);
  expect(pendingFrom(-50 * S, 2 * S, window, 100 * S)).toBe(0);
  expect(pendingFrom(500 * S, 2 * S, window, 600 * S)).toBeNull();
});

test("what lies ahead is not here yet, by exception or on a grid", () => {
  const window = { from: 0, to: 100 * S };
  expect(pendingFrom(59 * S, 2 * S, window, 60 * S)).toBe(60 * S);
  expect(pendingFrom(1 * S, null, window, 60 * S)).toBe(60 * S);
  expect(pendingFrom(null, 2 * S, window, 60 * S)).toBe(60 * S);
  expect(pendingFrom(1 * S, null, window, 100 * S)).toBeNull();
});

test("the axis does not magnify the last digit, and is never negative without a negative value", () => {
  const [low, high] = extentOf("mean", [at(0, 13.72), at(1, 13.74)], 0.01);
  expect(high - low).toBeCloseTo(0.2);
  expect(extentOf("mean", [at(0, 0), at(1, 0.1)], 0.1)[0]).toBe(0);
  expect(extentOf("mean", [at(0, -3), at(1, 5)], 0.01)[0]).toBeLessThan(-3);
  expect(extentOf("mean", [bad(1)], 0.01)).toEqual([0, 1]);
});

test("sums stand on zero, whatever was summed up; directions are always the whole circle", () => {
  expect(extentOf("sum", [{ ...at(0, 40), minimum: 1, maximum: 6 }], 1)).toEqual([0, 43.2]);
  expect(extentOf("sum", [at(0, 0)], 1)).toEqual([0, 5]);
  const [low, high] = extentOf("vector_mean", [at(0, 90)], 0.1);
  expect(low).toBeLessThan(0);
  expect(high).toBeGreaterThan(360);
});

test("the nearest point is found on either side, and at both ends", () => {
  const points = [at(0), at(10), at(20)];
  expect(nearestTo([], 5)).toBe(-1);
  expect(nearestTo(points, -5 * S)).toBe(0);
  expect(nearestTo(points, 4 * S)).toBe(0);
  expect(nearestTo(points, 6 * S)).toBe(1);
  expect(nearestTo(points, 99 * S)).toBe(2);
});

test("a summary counts all and takes least and greatest of what has a value", () => {
  const points = [at(0, 5), doubtful(1, 9), bad(2), { ...at(3, 6), minimum: 2, good: 4 }];
  expect(summaryOf(points)).toEqual({ least: 2, greatest: 9, total: 20, good: 5, uncertain: 1, bad: 1 });
  expect(summaryOf([bad(0)]).least).toBeNull();
});

test("a page of the table keeps its rows while newer ones come", () => {
  const points = Array.from({ length: 50 }, (_, index) => at(index));
  const first = pageOf(points, null, 20);
  expect([first.rows[0]?.start, first.rows.length, first.newer]).toEqual([49 * S, 20, undefined]);
  const second = pageOf(points, first.older, 20);
  expect([second.rows[0]?.start, second.rows.at(-1)?.start, second.newer]).toEqual([29 * S, 10 * S, null]);
  expect(pageOf([...points, at(50), at(51)], first.older, 20).rows).toEqual(second.rows);
  const third = pageOf(points, second.older, 20);
  expect([third.rows.length, third.older, third.newer]).toEqual([10, null, 30 * S]);
  expect(pageOf([], null, 20)).toEqual({ rows: [], older: null, newer: undefined });
});

test("documents of the API become points", () => {
  const time = "2026-07-01T08:00:00.000Z";
  const ms = Date.parse(time);
  expect(fromObservations([{ time, value: null, quality: "bad", reason: "no-answer" }])).toEqual([
    { ...bad(ms / S), reason: "no-answer" },
  ]);
  const counts = { good: 2, uncertain: 1, bad: 0 };
  const bucket = { start: time, end: "2026-07-01T08:01:00.000Z", value: 350, ...counts };
  expect(fromBuckets([bucket])).toEqual([
    { start: ms, end: ms + 60_000, value: 350, minimum: null, maximum: null, ...counts, reason: null },
  ]);
});

function at(seconds: number, value = 1): Valued {
  return { ...pointOf({ time_ms: seconds * S, value, quality: "good", reason: "good" }), value };
}

function doubtful(seconds: number, value = 1): Valued {
  return { ...pointOf({ time_ms: seconds * S, value, quality: "uncertain", reason: "clock-unsure" }), value };
}

function bad(seconds: number): Point {
  return pointOf({ time_ms: seconds * S, value: null, quality: "bad", reason: "no-answer" });
}
