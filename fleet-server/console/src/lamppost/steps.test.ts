import { expect, test } from "vitest";

import { bucketStart, stepFor, stepParameter, wholeUnits } from "./steps";

const HOUR = 3_600_000;

test("a step is a nice one that holds whole periods", () => {
  expect(stepFor(HOUR, 600, 2_000)).toBe(12_000);
  expect(stepFor(HOUR, 530, 2_000)).toBe(20_000);
  expect(stepFor(24 * HOUR, 600, 2_000)).toBe(300_000);
  expect(stepFor(7 * 24 * HOUR, 600, 10_000)).toBe(3_600_000);
  expect(stepFor(HOUR, 600, 7_000)).toBe(14_000);
  expect(stepFor(HOUR, 150, 40_000)).toBe(120_000);
});

test("where there is at most one observation for a bucket, observations are asked for", () => {
  expect(stepFor(900_000, 900, 2_000)).toBeNull();
  expect(stepFor(900_000, 890, 2_000)).toBe(4_000);
  expect(stepFor(HOUR, 600, 60_000)).toBeNull();
});

test("no step is shorter than the period, and there are never more buckets than pixels for them", () => {
  for (const span of [1_000, 60_000, 900_000, HOUR, 24 * HOUR, 7 * 24 * HOUR, 3_650 * 24 * HOUR]) {
    for (const width of [0, 1, 60, 300, 537, 1_200, 4_000]) {
      for (const period of [1, 100, 333, 1_000, 2_000, 7_000, 10_000, 60_000, 3_600_000]) {
        const step = stepFor(span, width, period);
        const room = Math.max(1, Math.floor(width / 2));
        if (step === null) expect(span / period).toBeLessThanOrEqual(room);
        else {
          expect(step).toBeGreaterThanOrEqual(period);
          expect(step % period).toBe(0);
          expect(span / step).toBeLessThanOrEqual(room);
        }
      }
    }
  }
});

test("a series by exception is summed up by a second at least, and asked for one by one over a minute", () => {
  expect(stepFor(60_000, 600, null)).toBeNull();
  expect(stepFor(61_000, 600, null)).toBe(1_000);
  expect(stepFor(HOUR, 600, null)).toBe(12_000);
});

test("steps are told to the API in seconds, and to people in the greatest whole unit", () => {
  expect(stepParameter(500)).toBe("0.5");
  expect(stepParameter(300_000)).toBe("300");
  expect(wholeUnits(90_000)).toEqual({ value: 90, unit: "second" });
  expect(wholeUnits(300_000)).toEqual({ value: 5, unit: "minute" });
  expect(wholeUnits(86_400_000)).toEqual({ value: 1, unit: "day" });
  expect(wholeUnits(1_500)).toEqual({ value: 1.5, unit: "second" });
  expect(wholeUnits(250)).toEqual({ value: 250, unit: "millisecond" });
});

test("buckets begin at whole multiples of the step, before 1970 too", () => {
  expect(bucketStart(12_345, 1_000)).toBe(12_000);
  expect(bucketStart(-1, 1_000)).toBe(-1_000);
});
