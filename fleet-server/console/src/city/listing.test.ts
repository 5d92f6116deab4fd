import { expect, test } from "vitest";

import { Fleet } from "./fleet";
import { type Filter, list, NO_FILTER, type Sort, type SortKey, Texts } from "./listing";

const BY_NUMBER: Sort = { key: "number", descending: false };

function small(): Fleet {
  const fleet = new Fleet({
    revision: "r1",
    numbers: ["AB0001", "AB0002", "AB0003", "KB0001", "KB0002"],
    latitude_e6: [0, 0, 0, 0, 0],
    longitude_e6: [0, 0, 0, 0, 0],
    roads: ["Wai Yip Street", "Sheung Yuet Road 常悅道", "Ｔａｉ Yip Street"],
    road: [0, 0, 1, 1, 2],
    districts: ["Kwun Tong", "Central"],
    district: [0, 0, 0, 1, 1],
  });
  fleet.load(
    {
      status: "rolrn",
      quality: "gbug-",
      last_observation_ms: [50, 10, 30, 40, null],
      values: [3, null, -1, 3, null],
      value_time_ms: [50, 10, 30, 40, null],
      value_quality: "gbug-",
    },
    "air_temperature",
  );
  return fleet;
}

function numbers(filter: Partial<Filter>, sort: Sort = BY_NUMBER): string[] {
  const fleet = small();
  const listing = list(fleet, new Texts(fleet, "en"), { ...NO_FILTER, ...filter }, sort);
  expect([...listing.rows].sort()).toEqual([...listing.shown].flatMap((shown, row) => (shown ? [row] : [])));
  return [...listing.rows].map((row) => fleet.numbers[row] ?? "");
}

const by = (key: SortKey, descending = false): string[] => numbers({}, { key, descending });

test("without a filter all are shown by number", () => {
  expect(numbers({})).toEqual(["AB0001", "AB0002", "AB0003", "KB0001", "KB0002"]);
});

test("words are found in number, road and district, whatever their case and width", () => {
  expect(numbers({ text: "kb" })).toEqual(["KB0001", "KB0002"]);
  expect(numbers({ text: "KWUN yip" })).toEqual(["AB0001", "AB0002"]);
  expect(numbers({ text: "  ＫＢ０００１ " })).toEqual(["KB0001"]);
  expect(numbers({ text: "tai yip" })).toEqual(["KB0002"]);
  expect(numbers({ text: "常悅 central" })).toEqual(["KB0001"]);
  expect(numbers({ text: "kb wai" })).toEqual([]);
});

test("filters are all met, and one of several statuses", () => {
  expect(numbers({ district: "Kwun Tong" })).toEqual(["AB0001", "AB0002", "AB0003"]);
  expect(numbers({ road: "Wai Yip Street", quality: 3 })).toEqual(["AB0002"]);
  expect(numbers({ statuses: new Set([1, 2]) })).toEqual(["AB0002", "AB0003"]);
  expect(numbers({ road: "No Such Road" })).toEqual([]);
});

test("the counts of statuses leave out the filter by status, and no other", () => {
  const fleet = small();
  const filter: Filter = { ...NO_FILTER, statuses: new Set([2]), district: "Kwun Tong" };
  expect(list(fleet, new Texts(fleet, "en"), filter, BY_NUMBER).ofStatus).toEqual([1, 1, 1, 0]);
});

test("equal rows stay in the order of numbers, in both directions", () => {
  expect(by("status")).toEqual(["AB0001", "KB0001", "KB0002", "AB0003", "AB0002"]);
  expect(by("status", true)).toEqual(["AB0002", "AB0003", "KB0002", "AB0001", "KB0001"]);
  expect(by("road")).toEqual(["AB0003", "KB0001", "KB0002", "AB0001", "AB0002"]);
  expect(by("district")).toEqual(["KB0001", "KB0002", "AB0001", "AB0002", "AB0003"]);
  expect(by("number", true)).toEqual(["KB0002", "KB0001", "AB0003", "AB0002", "AB0001"]);
});

test("what has no value comes last, in both directions", () => {
  expect(by("value")).toEqual(["AB0003", "AB0001", "KB0001", "AB0002", "KB0002"]);
  expect(by("value", true)).toEqual(["AB0001", "KB0001", "AB0003", "AB0002", "KB0002"]);
  expect(by("newest")).toEqual(["AB0002", "AB0003", "KB0001", "AB0001", "KB0002"]);
  expect(by("quality", true)).toEqual(["AB0002", "AB0003", "AB0001", "KB0001", "KB0002"]);
});
