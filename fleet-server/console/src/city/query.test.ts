import { expect, test } from "vitest";

import { NO_FILTER } from "./listing";
import { queryOf, type Viewed, viewedOf } from "./query";

const USUAL: Viewed = {
  filter: NO_FILTER,
  sort: { key: "number", descending: false },
  view: null,
  property: null,
  selected: null,
};

function address(viewed: Viewed): string {
  const said = Object.entries(queryOf(viewed)).flatMap(([key, value]) =>
    value === null ? [] : [[key, value]],
  );
  return new URLSearchParams(said).toString();
}

test("what is as it always is needs no address", () => {
  expect(address(USUAL)).toBe("");
  expect(viewedOf(new URLSearchParams(""))).toEqual(USUAL);
});

test("a view is the same again from its address", () => {
  const viewed: Viewed = {
    filter: {
      text: "wai yip 偉業",
      statuses: new Set([1, 2]),
      quality: 0,
      road: "A & B Road",
      district: "Kwun Tong",
    },
    sort: { key: "newest", descending: true },
    view: "table",
    property: "air_temperature",
    selected: "KB0007",
  };
  expect(address(viewed)).toContain("status=late%2Coffline&quality=none");
  expect(viewedOf(new URLSearchParams(address(viewed)))).toEqual(viewed);
});

test("what an address says wrongly is as if it said nothing", () => {
  expect(viewedOf(new URLSearchParams("status=lost,&quality=fine&sort=-colour&view=globe"))).toEqual(USUAL);
});
