import { expect, test } from "vitest";

import { boundDecimals, channels, DIRECTIONS, scaleOf, stepOf } from "./scale";

const spread = (low: number, high: number, count = 1000): number[] =>
  Array.from({ length: count }, (_, place) => low + ((high - low) * place) / (count - 1));

test("bounds are round numbers, and there is a colour on either side of each", () => {
  const scale = scaleOf(spread(13.2, 14.7), 0.01);
  expect(scale?.bounds).toEqual([13.25, 13.5, 13.75, 14, 14.25, 14.5]);
  expect(scale?.colors).toHaveLength(7);
  expect(scale?.colors[0]).toBe("#440154");
  expect(scale?.colors.at(-1)).toBe("#fde725");
});

test("there are never more steps than can be told apart", () => {
  for (const [low, high] of [
    [0, 1],
    [-7, 3],
    [0.003, 0.0041],
    [900, 1100],
    [0, 150_000],
    [-0.2, 99.7],
  ] as const) {
    const scale = scaleOf(spread(low, high), 0.0001);
    expect(scale?.colors.length, `${low} to ${high}`).toBeGreaterThanOrEqual(3);
    expect(scale?.colors.length, `${low} to ${high}`).toBeLessThanOrEqual(8);
    expect(scale?.bounds.every((bound) => bound > low && bound < high)).toBe(true);
  }
});

test("a few odd values do not move the bounds", () => {
  const odd = [...spread(10, 20), 9_000, 9_000, -400];
  expect(scaleOf(odd, 0.1)?.bounds).toEqual(scaleOf(spread(10, 20), 0.1)?.bounds);
});

test("values that are all alike have two steps, and no step is finer than the resolution", () => {
  expect(scaleOf([7, 7, 7], 1)?.bounds).toEqual([8]);
  expect(scaleOf([7, 8], 1)?.bounds).toEqual([8]);
  expect(scaleOf([0.1, 0.1], 0.1)?.bounds).toEqual([0.2]);
  expect(scaleOf([], 1)).toBeNull();
});

test("bounds of lengths of time are those of clocks and calendars", () => {
  expect(scaleOf(spread(0, 600), 1, 1)?.bounds).toEqual([120, 240, 360, 480]);
  expect(scaleOf(spread(0, 36_000), 1, 1)?.bounds).toEqual([7_200, 14_400, 21_600, 28_800]);
  expect(scaleOf(spread(0, 7 * 86_400), 1, 1)?.bounds).toEqual([1, 2, 3, 4, 5, 6].map((day) => day * 86_400));
  expect(scaleOf(spread(0, 90), 1, 60)?.bounds).toEqual([15, 30, 45, 60, 75]);
  expect(scaleOf([7, 7], 1, 1)?.bounds).toEqual([8]);
});

test("a value on a bound is in the step above", () => {
  const scale = scaleOf(spread(0, 70), 1);
  expect(scale?.bounds).toEqual([10, 20, 30, 40, 50, 60]);
  if (scale === null) return;
  expect([-5, 9.99, 10, 59, 60, 1e9].map((value) => stepOf(scale, value))).toEqual([0, 0, 1, 5, 6, 6]);
  expect(boundDecimals(scale)).toBe(0);
});

test("directions go around", () => {
  expect([0, 22.4, 22.6, 180, 337.4, 337.6, 360, -45].map((deg) => stepOf(DIRECTIONS, deg))).toEqual([
    0, 0, 1, 4, 7, 0, 0, 7,
  ]);
});

test("along the scale it becomes lighter, so that it can be read without colours", () => {
  const colors = scaleOf(spread(0, 70), 1)?.colors ?? [];
  const light = colors.map((color) => {
    const [red = 0, green = 0, blue = 0] = channels(color);
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  });
  expect(light).toEqual([...light].sort((one, other) => one - other));
});
