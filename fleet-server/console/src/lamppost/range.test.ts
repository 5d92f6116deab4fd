import { expect, test } from "vitest";

import {
  FIRST_RANGE,
  fromField,
  isSame,
  PRESETS,
  queryOf,
  rangeOf,
  toField,
  windowAt,
  type Range,
} from "./range";

test("every range is in the address and comes back from it", () => {
  const fixed: Range = { kind: "fixed", from: 1_782_892_800_000, to: 1_782_896_400_250 };
  for (const range of [...PRESETS.map(({ name }): Range => ({ kind: "last", preset: name })), fixed]) {
    const values = Object.entries(queryOf(range)).filter(([, value]) => value !== null) as [string, string][];
    expect(rangeOf(new URLSearchParams(values))).toEqual(range);
    expect(isSame(range, { ...range })).toBe(true);
  }
  expect(isSame(FIRST_RANGE, fixed)).toBe(false);
});

test("an address that makes no sense shows the first range", () => {
  const times = "from=2026-07-01T09:00:00Z&to=2026-07-01T08:00:00Z";
  for (const query of ["", "range=1y", "from=yesterday", "from=2026-07-01T08:00:00Z", times]) {
    expect(rangeOf(new URLSearchParams(query)), query).toEqual(FIRST_RANGE);
  }
});

test("a range that follows the clock ends now", () => {
  expect(windowAt({ kind: "last", preset: "15m" }, 1_000_000)).toEqual({ from: 100_000, to: 1_000_000 });
  expect(windowAt({ kind: "fixed", from: 1, to: 2_000 }, 1_000_000)).toEqual({ from: 1, to: 2_000 });
});

test("fields show what the city's clocks show", () => {
  const ms = Date.parse("2026-07-01T16:00:05.750Z");
  expect(toField(ms, "Asia/Hong_Kong")).toBe("2026-07-02T00:00:05");
  expect(fromField("2026-07-02T00:00:05", "Asia/Hong_Kong")).toBe(ms - 750);
  expect(fromField("2026-07-02T00:00", "Asia/Hong_Kong")).toBe(ms - 5_750);
});

test("clocks that change twice a year are read on either side", () => {
  for (const [text, utc] of [
    ["2026-03-29T00:30:00", "2026-03-29T00:30:00Z"],
    ["2026-03-29T02:30:00", "2026-03-29T01:30:00Z"],
    ["2026-10-25T03:00:00", "2026-10-25T03:00:00Z"],
  ] as const) {
    expect(fromField(text, "Europe/London"), text).toBe(Date.parse(utc));
    expect(toField(Date.parse(utc), "Europe/London"), utc).toBe(text);
  }
});

test("what is no date and time is none", () => {
  for (const text of ["", "2026-07-02", "2026-13-02T00:00", "now", "2026-07-02T00:00Z"]) {
    expect(fromField(text, "Asia/Hong_Kong"), text).toBeNull();
  }
});
