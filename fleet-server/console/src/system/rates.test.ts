import { expect, test } from "vitest";

import { meanRate, ratesOf, sparkline } from "./rates";

const samples = (...counts: number[]) => counts.map((count, place) => ({ time_ms: place * 2000, count }));

test("rates are per second between samples", () => {
  expect(ratesOf(samples(0, 10, 10, 14))).toEqual([5, 0, 2]);
  expect(ratesOf(samples(3))).toEqual([]);
});

test("a counter that went back belongs to another start of the server", () => {
  expect(ratesOf(samples(100, 4, 8))).toEqual([null, 2]);
  expect(meanRate(samples(100, 4, 8))).toBe(2);
  expect(meanRate(samples(100, 4))).toBeNull();
});

test("two looks at the same moment tell no rate", () => {
  expect(
    ratesOf([
      { time_ms: 5, count: 1 },
      { time_ms: 5, count: 9 },
    ]),
  ).toEqual([null]);
});

test("a sparkline ends at the right, is as high as its greatest rate, and breaks where nothing is known", () => {
  expect(sparkline([5, 10], 2)).toEqual(["0.0000,0.5000 1.0000,0.0000"]);
  expect(sparkline([1, 1, null, 1, 1], 5)).toHaveLength(2);
  expect(sparkline([0, 0], 2)).toEqual(["0.0000,1.0000 1.0000,1.0000"]);
});
