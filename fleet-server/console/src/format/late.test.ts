import { expect, test } from "vitest";

import { timelinessOf } from "./late";

const NOW = 1_800_000_000_000;

test("on a lamppost that is offline or was never heard no value is fresh, however new it is", () => {
  for (const status of ["offline", "never"] as const) {
    expect(timelinessOf(NOW, 2_000, status, NOW)).toBe("offline");
    expect(timelinessOf(NOW, null, status, NOW)).toBe("offline");
  }
});

test("on a lamppost that is late no value is fresh, also one without a period", () => {
  expect(timelinessOf(NOW, 60_000, "late", NOW)).toBe("late");
  expect(timelinessOf(NOW, null, "late", NOW)).toBe("late");
});

test("on a lamppost that reports a value is late after three periods, and never without one", () => {
  expect(timelinessOf(NOW - 30_000, 10_000, "reporting", NOW)).toBe("fresh");
  expect(timelinessOf(NOW - 30_001, 10_000, "reporting", NOW)).toBe("late");
  expect(timelinessOf(NOW - 6_000, 100, "reporting", NOW)).toBe("fresh");
  expect(timelinessOf(0, null, "reporting", NOW)).toBe("fresh");
});
