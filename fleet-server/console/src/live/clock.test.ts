import { afterEach, beforeEach, expect, test, vi } from "vitest";

const START_MS = Date.UTC(2026, 10, 21, 5, 0);
/** The server's clock is so far ahead of this browser's. */
const AHEAD_MS = 60_000;

let clock: (typeof import("./clock.svelte"))["clock"];

beforeEach(async () => {
  vi.useFakeTimers({ now: START_MS });
  vi.resetModules();
  ({ clock } = await import("./clock.svelte"));
});

afterEach(() => void vi.useRealTimers());

test("a message that was held up on its way does not turn the clock back", () => {
  hear(AHEAD_MS);
  vi.advanceTimersByTime(5_000);
  hear(AHEAD_MS - 12_000);
  expect(clock.exact()).toBe(START_MS + 5_000 + AHEAD_MS);
  expect(clock.now_ms).toBe(clock.exact());
  vi.advanceTimersByTime(1_000);
  expect(clock.now_ms).toBe(START_MS + 6_000 + AHEAD_MS);
});

test("a message that came faster than those before sets the clock at once", () => {
  hear(AHEAD_MS - 12_000);
  hear(AHEAD_MS);
  expect(clock.exact()).toBe(START_MS + AHEAD_MS);
});

test("a clock that was set back is followed as soon as the last messages are all of it", () => {
  for (let count = 0; count < 100; count += 1) hear(AHEAD_MS);
  for (let count = 0; count < 7; count += 1) hear(-AHEAD_MS);
  expect(clock.exact()).toBe(START_MS + AHEAD_MS);
  hear(-AHEAD_MS);
  expect(clock.exact()).toBe(START_MS - AHEAD_MS);
});

function hear(offset_ms: number): void {
  clock.set(Date.now() + offset_ms);
}
