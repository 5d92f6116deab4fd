import { expect, test } from "vitest";

import { Fleet, type ObservationChange, type StateChange } from "./fleet";

const NOW = 1_800_000_000_000;

function small(): Fleet {
  return new Fleet({
    revision: "r1",
    numbers: ["AB0001", "AB0002", "AB0003", "KB0001"],
    latitude_e6: [22_320_000, 22_321_000, 22_322_000, 22_323_000],
    longitude_e6: [114_200_000, 114_201_000, 114_202_000, 114_203_000],
    roads: ["Wai Yip Street", "Sheung Yuet Road"],
    road: [0, 0, 1, 1],
    districts: ["Kwun Tong"],
    district: [0, 0, 0, 0],
  });
}

function loaded(): Fleet {
  const fleet = small();
  fleet.load(
    {
      status: "rlon",
      quality: "gub-",
      last_observation_ms: [NOW - 1000, NOW - 60_000, NOW - 90_000, null],
      unit: "Cel",
      values: [14.5, 15, null, null],
      value_time_ms: [NOW - 1000, NOW - 60_000, NOW - 90_000, null],
      value_quality: "gub-",
      value_reason: [null, "clock-unsure", "no-answer", null],
      value_period_ms: [2000, 2000, null, null],
      series: ["weather-1/air_temperature"],
      value_series: [0, 0, 0, null],
    },
    "air_temperature",
  );
  return fleet;
}

const state = (lamppost: string, more: Partial<StateChange> = {}): StateChange => ({
  lamppost,
  status: "reporting",
  quality: "good",
  bad: 0,
  uncertain: 0,
  last_observation_ms: NOW,
  ...more,
});

const observation = (lamppost: string, more: Partial<ObservationChange> = {}): ObservationChange => ({
  lamppost,
  series: "weather-1/air_temperature",
  time_ms: NOW,
  value: 16.25,
  quality: "good",
  reason: "good",
  received_ms: NOW + 700,
  period_ms: 2000,
  ...more,
});

test("a snapshot says how all are, in the order of the register", () => {
  const fleet = loaded();
  expect([...fleet.status]).toEqual([0, 1, 2, 3]);
  expect([...fleet.quality]).toEqual([1, 2, 3, 0]);
  expect([...fleet.lastObservation]).toEqual([NOW - 1000, NOW - 60_000, NOW - 90_000, NaN]);
  expect([...fleet.value]).toEqual([14.5, 15, NaN, NaN]);
  expect(fleet.valueReason).toEqual([null, "clock-unsure", "no-answer", null]);
});

test("a change of state is taken over, and of a lamppost that is not in the register it is counted", () => {
  const fleet = loaded();
  const told = fleet.apply({
    states: [state("KB0001", { status: "late", quality: "bad", bad: 2, uncertain: 1 }), state("ZZ9999")],
    observations: [],
  });
  expect(told).toEqual({ rows: [3], unknown: 1 });
  expect([fleet.status[3], fleet.quality[3], fleet.bad[3], fleet.uncertain[3]]).toEqual([1, 3, 2, 1]);
  expect(fleet.lastObservation[3]).toBe(NOW);
});

test("an observation of the chosen property is a new value, one of another property only newer data", () => {
  const fleet = loaded();
  const told = fleet.apply({
    states: [],
    observations: [
      observation("AB0001"),
      observation("AB0002", { series: "weather-1/relative_humidity", value: 80 }),
    ],
  });
  expect(told.rows).toEqual([0]);
  expect([fleet.value[0], fleet.value[1]]).toEqual([16.25, 15]);
  expect(fleet.lastObservation[1]).toBe(NOW);
});

test("the age of data goes by what is earlier: when it was observed, or when it was received", () => {
  const fleet = loaded();
  const ahead = observation("AB0001", { time_ms: NOW + 3_600_000, received_ms: NOW + 5 });
  fleet.apply({ states: [], observations: [ahead] });
  expect(fleet.lastObservation[0]).toBe(NOW + 5);
});

test("what comes late neither replaces a newer value nor makes data look older", () => {
  const fleet = loaded();
  fleet.apply({ states: [], observations: [observation("AB0001")] });
  const late = observation("AB0001", { time_ms: NOW - 30_000, value: 3 });
  expect(fleet.apply({ states: [], observations: [late] }).rows).toEqual([]);
  fleet.apply({ states: [state("AB0001", { last_observation_ms: NOW - 5000 })], observations: [] });
  fleet.refresh([NOW - 9000, null, null, null]);
  expect([fleet.value[0], fleet.lastObservation[0]]).toEqual([16.25, NOW]);
});

test("of several series of a property the first by name is shown", () => {
  const fleet = loaded();
  const second = observation("AB0001", { series: "weather-2/air_temperature", value: 2 });
  const first = observation("AB0001", { value: 1 });
  fleet.apply({ states: [], observations: [second] });
  fleet.apply({ states: [], observations: [first] });
  fleet.apply({ states: [], observations: [{ ...second, time_ms: NOW + 5000 }] });
  expect(fleet.value[0]).toBe(1);
});

test("the series of a snapshot's value is hidden by no other one as long as it lives", () => {
  const fleet = loaded();
  const second = (more: Partial<ObservationChange>): ObservationChange =>
    observation("AB0001", { series: "weather-2/air_temperature", ...more });
  expect(fleet.apply({ states: [], observations: [second({ value: 2 })] }).rows).toEqual([]);
  expect(fleet.value[0]).toBe(14.5);
  fleet.apply({ states: [], observations: [second({ value: 3, time_ms: NOW + 6000 })] });
  expect(fleet.value[0], "three of its periods are over").toBe(3);
  // Without a value there is nothing that could be hidden.
  fleet.apply({ states: [], observations: [observation("KB0001", { series: "weather-2/air_temperature" })] });
  expect(fleet.value[3]).toBe(16.25);
});

test("a series that has ended gives way to one that lives, whatever their names are", () => {
  const fleet = loaded();
  const later = (more: Partial<ObservationChange>): ObservationChange =>
    observation("AB0001", { series: "weather-2/air_temperature", ...more });
  fleet.apply({ states: [], observations: [observation("AB0001", { value: 1 })] });
  fleet.apply({ states: [], observations: [later({ value: 2, time_ms: NOW + 6000 })] });
  expect(fleet.value[0], "three periods are still in time").toBe(1);
  fleet.apply({ states: [], observations: [later({ value: 3, time_ms: NOW + 8000 })] });
  expect(fleet.value[0]).toBe(3);
  const backlog = observation("AB0001", { value: 4, time_ms: NOW + 1000, received_ms: NOW + 9000 });
  expect(fleet.apply({ states: [], observations: [backlog] }).rows).toEqual([]);
  expect([fleet.value[0], fleet.freshness(0, NOW + 9000)]).toEqual([3, "fresh"]);
  fleet.apply({ states: [], observations: [observation("AB0001", { value: 5, time_ms: NOW + 10_000 })] });
  expect(fleet.value[0], "the device is back").toBe(5);
});

test("only a value in time, of a lamppost that reports, is fresh", () => {
  const fleet = loaded();
  const of = (): string[] => [0, 1, 2, 3].map((row) => fleet.freshness(row, NOW));
  expect(of()).toEqual(["fresh", "late", "bad", "none"]);
  expect(fleet.freshness(0, NOW + 5001)).toBe("late");
  fleet.apply({ states: [state("AB0001", { status: "offline" })], observations: [] });
  expect(fleet.freshness(0, NOW)).toBe("offline");
  // By exception, so never late by itself: but its lamppost is.
  fleet.apply({
    states: [state("AB0003", { status: "late" })],
    observations: [observation("AB0003", { period_ms: null })],
  });
  expect(fleet.freshness(2, NOW)).toBe("late");
});

test("another property begins without values", () => {
  const fleet = loaded();
  fleet.choose("noise_level");
  expect([...fleet.value]).toEqual([NaN, NaN, NaN, NaN]);
  expect(fleet.freshness(0, NOW)).toBe("none");
  expect(fleet.apply({ states: [], observations: [observation("AB0001")] }).rows).toEqual([]);
});
