import { expect, test } from "vitest";

import { Fleet } from "./fleet";
import { DOUBTFUL, HIDDEN, NO_VALUE, Painting } from "./painting";
import { boundsOf, isAnyWithin, nearest, pointsOf } from "./points";
import { scaleOf } from "./scale";

const NOW = 1_800_000_000_000;
const ALL = Uint8Array.of(1, 1, 1, 1);

function fleetOf(status: string): Fleet {
  const fleet = new Fleet({
    revision: "r1",
    numbers: ["AB0001", "AB0002", "AB0003", "AB0004"],
    latitude_e6: [22_320_000, 22_320_000, 22_320_010, 22_400_000],
    longitude_e6: [114_200_000, 114_200_010, 114_200_000, 114_300_000],
    roads: ["Wai Yip Street"],
    road: [0, 0, 0, 0],
    districts: ["Kwun Tong"],
    district: [0, 0, 0, 0],
  });
  fleet.load(
    {
      status,
      quality: "gggg",
      last_observation_ms: [NOW, NOW, NOW, NOW],
      values: [0, 35, 69, null],
      value_time_ms: [NOW, NOW, NOW, NOW],
      value_quality: "gugb",
      value_reason: [null, "clock-unsure", null, "no-answer"],
      value_period_ms: [10_000, 10_000, 60_000, 10_000],
    },
    "noise_level",
  );
  return fleet;
}

const scale = scaleOf(
  Array.from({ length: 71 }, (_, value) => value),
  1,
);
const byValue = { property: "noise_level", scale };

test("by status, each is drawn as its status, and what does not pass the filter is not drawn", () => {
  const painting = new Painting(fleetOf("rlon"));
  expect(painting.choose({ property: null, scale: null }, ALL, NOW)).toBe(true);
  expect([...painting.classes]).toEqual([0, 1, 2, 3]);
  painting.choose({ property: null, scale: null }, Uint8Array.of(1, 0, 0, 1), NOW);
  expect([...painting.classes]).toEqual([0, HIDDEN, HIDDEN, 3]);
});

test("by value, each is in its step, and a doubtful one is marked", () => {
  const painting = new Painting(fleetOf("rrrr"));
  painting.choose(byValue, ALL, NOW);
  expect([...painting.classes]).toEqual([0, DOUBTFUL + 3, 6, NO_VALUE]);
});

test("a value has no colour once it is late by the clock, or its lamppost does not report", () => {
  const fleet = fleetOf("rrrr");
  const painting = new Painting(fleet);
  painting.choose(byValue, ALL, NOW);
  expect(painting.all(NOW + 30_000)).toBe(false);
  expect(painting.all(NOW + 30_001)).toBe(true);
  expect([...painting.classes]).toEqual([NO_VALUE, NO_VALUE, 6, NO_VALUE]);
  fleet.status[2] = 2;
  expect(painting.some([2], NOW)).toBe(true);
  expect(painting.classes[2]).toBe(NO_VALUE);
});

test("the values of another property are not drawn by this scale", () => {
  const painting = new Painting(fleetOf("rrrr"));
  painting.choose({ property: "air_temperature", scale }, ALL, NOW);
  expect([...painting.classes]).toEqual([NO_VALUE, NO_VALUE, NO_VALUE, NO_VALUE]);
});

test("lampposts a metre apart are apart, and the nearest of those that are shown is found", () => {
  const points = pointsOf(fleetOf("rrrr"));
  const metre = 1 / (40_075_017 * Math.cos((22.32 * Math.PI) / 180));
  const at = {
    x: points.x + (points.offsets[0] ?? 0) + metre * 0.7,
    y: points.y + (points.offsets[1] ?? 0),
  };
  expect(nearest(points, () => true, at, 3 * metre)).toBe(1);
  expect(nearest(points, (row) => row !== 1, at, 3 * metre)).toBe(0);
  expect(nearest(points, (row) => row === 3, at, 3 * metre)).toBeNull();
});

test("bounds hold the rows that they are asked for", () => {
  const fleet = fleetOf("rrrr");
  expect(boundsOf(fleet, Uint32Array.of(0, 1, 2))).toEqual([114.2, 22.32, 114.20001, 22.32001]);
  expect(boundsOf(fleet, new Uint32Array())).toBeNull();
});

test("whether one of the rows is in sight goes by these rows alone", () => {
  const fleet = fleetOf("rrrr");
  const near: [number, number, number, number] = [114.19, 22.31, 114.21, 22.33];
  expect(isAnyWithin(fleet, Uint32Array.of(0, 3), near)).toBe(true);
  expect(isAnyWithin(fleet, Uint32Array.of(3), near)).toBe(false);
  expect(isAnyWithin(fleet, Uint32Array.of(), near)).toBe(false);
});
