import { expect, test } from "vitest";

import { filledFrom, relocationOf } from "./relocation";

const before = filledFrom({
  latitude_deg: 22.3105,
  longitude_deg: 114.2213,
  road: "Hoi Bun Road",
  district: "Kwun Tong",
  feeder: "KB-F03",
  pillar: null,
});

function told(after: Partial<typeof before>, since_ms: number | null = null): object {
  return JSON.parse(JSON.stringify(relocationOf(before, { ...before, ...after }, since_ms)));
}

test("only what is different is told, without spaces around it", () => {
  expect(told({})).toEqual({});
  expect(told({ road: " Wai Yip Street ", pillar: "KB-P1", district: "Kwun Tong " })).toEqual({
    road: "Wai Yip Street",
    pillar: "KB-P1",
  });
});

test("a position is told whole, also if it is moved along one axis", () => {
  const expected = { latitude_deg: 22.3105, longitude_deg: 114.3 };
  expect(told({ longitude: "114.3" })).toEqual(expected);
});

test("a time is told by the world's clock", () => {
  expect(told({ road: "A" }, Date.UTC(2026, 6, 1, 8))).toEqual({
    road: "A",
    since: "2026-07-01T08:00:00.000Z",
  });
});
