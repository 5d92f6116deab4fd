import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { onceAtRest } from "./at-rest";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test("a map that is on its way is left alone until it has come", () => {
  let moves = false;
  const then = vi.fn();
  onceAtRest({ isMoving: () => moves }, 600, then);
  // Somebody selects a lamppost: the map needs half a second to get there.
  vi.advanceTimersByTime(400);
  moves = true;
  vi.advanceTimersByTime(500);
  expect(then).not.toHaveBeenCalled();
  moves = false;
  vi.advanceTimersByTime(300);
  expect(then).toHaveBeenCalledOnce();
  vi.advanceTimersByTime(10_000);
  expect(then).toHaveBeenCalledOnce();
});

test("what is given up is not done, also while the map moves", () => {
  const then = vi.fn();
  const giveUp = onceAtRest({ isMoving: () => true }, 600, then);
  vi.advanceTimersByTime(900);
  giveUp();
  vi.advanceTimersByTime(10_000);
  expect([then.mock.calls.length, vi.getTimerCount()]).toEqual([0, 0]);
});
