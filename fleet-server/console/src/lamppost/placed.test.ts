import { render } from "svelte/server";
import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import { loadMessages } from "../messages/index.svelte";
import { boundsText, placedOf, readPlaced, type Placed } from "./placed";
import { pointOf, type Point } from "./points";
import PointsTable from "./PointsTable.svelte";
import type { Series } from "./series";
import { readoutOf } from "./texts";

const at = (time: string): number => Date.parse(`2026-07-01T${time}Z`);
const RUN = {
  run: "02".repeat(16),
  opened: "2026-07-01T04:00:00Z",
  ended: "2026-07-01T04:10:00Z",
  placed_between: { earliest: "2026-07-01T03:30:00Z", latest: "2026-07-01T04:20:00Z" },
};
const PLACED: Placed = {
  run: RUN.run,
  from: at("04:00:00"),
  to: at("04:10:00"),
  earliest: at("03:30:00"),
  latest: at("04:20:00"),
};
const SERIES: Series = {
  name: "weather-1/air_temperature",
  device: "weather-1",
  property: "air_temperature",
  channel: null,
  unit: "Cel",
  statistic: "mean",
  resolution: "0.01",
  period_ms: 60_000,
  floor_ms: null,
  titles: null,
};
const BETWEEN = /Time uncertain: between .*1 Jul.* 11:30:00 and .*12:20:00/;

beforeAll(() => loadMessages("lamppost"));

const bucket = (start: number, end: number): Point => ({
  ...pointOf({ time_ms: start, value: 21, quality: "uncertain", reason: "clock-unsure" }),
  end,
  reason: null,
});

test("runs that were placed are shown as far as is known of them, and no other ones", () => {
  const runs = [
    { ...RUN, placed_between: null },
    { ...RUN, opened: null, ended: null },
    RUN,
    { ...RUN, placed_between: { ...RUN.placed_between, earliest: null } },
  ];
  expect(placedOf(runs)).toEqual([PLACED, { ...PLACED, earliest: null }]);
});

test("the bounds are those of the run that an observation or a bucket is of", () => {
  const of = (start: number, end = start): string | null => boundsText([PLACED], bucket(start, end));
  expect(of(at("04:00:00"))).toMatch(BETWEEN);
  expect(of(at("04:10:00"))).toMatch(BETWEEN);
  expect([of(at("03:59:59")), of(at("04:10:01"))]).toEqual([null, null]);
  expect(of(at("03:55:00"), at("04:00:00")), "a bucket ends before what begins with it").toBeNull();
  expect(of(at("04:01:00"), at("04:02:00"))).toMatch(/^Time uncertain/);
  expect(of(at("03:55:00"), at("04:05:00"))).toMatch(/^In part: Time uncertain: between/);
  expect(boundsText([{ ...PLACED, earliest: null }], bucket(PLACED.from, PLACED.to))).toMatch(
    /^Time uncertain: not after .*12:20:00$/,
  );
});

test("a bucket without an observation of the run says nothing of it, one with others that it is a part", () => {
  const of = (more: Partial<Point>): string | null =>
    boundsText([PLACED], { ...bucket(at("04:01:00"), at("04:02:00")), ...more });
  expect(of({ good: 3, uncertain: 0 })).toBeNull();
  expect(of({ good: 3, uncertain: 1 })).toMatch(/^In part: Time uncertain: between/);
  expect(of({ uncertain: 0, bad: 2 }), "a bad one is of the run as well").toMatch(/^Time uncertain/);
});

test("of several runs in one bucket the bounds hold for all of them", () => {
  const before: Placed = {
    ...PLACED,
    run: "01".repeat(16),
    from: at("03:50:00"),
    to: at("03:58:00"),
    earliest: at("03:00:00"),
    latest: at("04:15:00"),
  };
  const both = bucket(at("03:50:00"), at("04:10:00"));
  expect(boundsText([PLACED, before], both)).toMatch(/^Time uncertain: between .*11:00:00 and .*12:20:00$/);
  expect(boundsText([PLACED, { ...before, earliest: null }], both)).toMatch(
    /^Time uncertain: not after .*12:20:00$/,
  );
});

test("a chart's cursor and its table say between what an observation lay", () => {
  const reading = { value: 21, quality: "uncertain", reason: "clock-unsure" } as const;
  const within = pointOf({ time_ms: at("04:05:00"), ...reading });
  const after = pointOf({ time_ms: at("04:30:00"), ...reading, quality: "good", reason: "good" });
  expect(readoutOf(within, SERIES, 3_600_000, [PLACED]).rest.at(-1)).toMatch(BETWEEN);
  expect(readoutOf(after, SERIES, 3_600_000, [PLACED]).rest).toEqual(["Good"]);
  const wide = bucket(at("03:55:00"), at("04:05:00"));
  expect(readoutOf(wide, SERIES, 3_600_000, [PLACED]).rest.at(-1)).toMatch(BETWEEN);
  for (const [points, raw] of [
    [[within, after], true],
    [[wide, after], false],
  ] as const) {
    const props = { points, series: SERIES, span_ms: 3_600_000, raw, placed: [PLACED] };
    const { body } = render(PointsTable, { props });
    expect(body.match(/Time uncertain/g), "one row of two").toHaveLength(1);
  }
});

test("runs are read as far back as the window goes, and no further", async () => {
  const asked: string[] = [];
  const page = (opened: string, next: string | null) => ({ runs: [{ ...RUN, opened }], next });
  const pages = [
    page("2026-07-01T04:09:00Z", "a"),
    page("2026-07-01T04:05:00Z", "b"),
    page("2026-07-01T04:00:00Z", "c"),
  ];
  vi.stubGlobal("fetch", async (address: string) => {
    asked.push(address);
    return Response.json(pages[asked.length - 1]);
  });
  const window = { from: at("04:04:00"), to: at("04:30:00") };
  const found = await readPlaced("DF3637", window, new AbortController().signal);
  vi.unstubAllGlobals();
  expect(asked).toHaveLength(3);
  expect(asked[1]).toContain("after=a");
  expect(found.map(({ from }) => from)).toEqual([at("04:09:00"), at("04:05:00"), at("04:00:00")]);
});
