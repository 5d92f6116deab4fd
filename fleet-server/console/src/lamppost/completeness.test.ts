import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import type { Schemas } from "../api/client";
import { chooseLanguage, loadMessages } from "../messages/index.svelte";
import { cellText, rowsOf, shareText, shownOf } from "./completeness";
import type { Device } from "./series";

beforeAll(() => loadMessages("lamppost"));

const REJECTED = { future: 0, retention: 0, type: 0, unknown_property: 0, too_many_series: 0 };
const COUNTS: Schemas["SeriesCounts"] = {
  device: "weather-1",
  property: "air_temperature",
  channel: null,
  unknown_before: null,
  expected: 100,
  stored: 90,
  observations: 90,
  late: 0,
  rejected: REJECTED,
  dropped: { bytes: 7, age: 3, damaged: 0 },
  lost: 0,
  agent_stopped: 0,
  not_yet_here: 0,
  not_recorded: 0,
  unknown: 0,
};
const BY_EXCEPTION: Schemas["SeriesCounts"] = {
  ...COUNTS,
  device: "door-1",
  property: "door_open",
  expected: null,
  late: null,
  dropped: { bytes: 0, age: 0, damaged: 0 },
  lost: null,
  agent_stopped: null,
  not_yet_here: null,
  not_recorded: null,
  unknown: null,
};
const DEVICES: Device[] = [
  {
    name: "weather-1",
    model: "bme280",
    period_ms: 1000,
    series: [
      {
        name: "weather-1/air_temperature",
        device: "weather-1",
        property: "air_temperature",
        channel: null,
        unit: "Cel",
        statistic: "mean",
        resolution: "0.01",
        period_ms: 1000,
        floor_ms: null,
        titles: { en: "Air temperature", zh: "氣溫" },
      },
    ],
  },
];

test("each series is a row with its verdicts, also one that the page does not know", () => {
  const rows = rowsOf(
    [COUNTS, { ...COUNTS, device: "gone-1", unknown_before: "2026-07-01T00:00:00Z" }],
    DEVICES,
  );
  expect(rows.map(({ name, series }) => [name, series?.device])).toEqual([
    ["weather-1/air_temperature", "weather-1"],
    ["gone-1/air_temperature", undefined],
  ]);
  expect(rows[0]?.cells.dropped).toEqual({
    count: 10,
    reasons: [
      { reason: "bytes", count: 7 },
      { reason: "age", count: 3 },
    ],
  });
  expect(rows[1]?.counted_from_ms).toBe(Date.parse("2026-07-01T00:00:00Z"));
});

test("there are columns for the verdicts that anything has, and always for what is stored", () => {
  expect(shownOf(rowsOf([COUNTS], []))).toEqual(["stored", "dropped"]);
  expect(shownOf(rowsOf([{ ...COUNTS, stored: 0, unknown: 1, lost: 9 }, BY_EXCEPTION], []))).toEqual([
    "stored",
    "dropped",
    "lost",
    "unknown",
  ]);
  expect(shownOf(rowsOf([BY_EXCEPTION], []))).toEqual(["stored"]);
});

test("only what is complete is called so", () => {
  expect(shareText({ expected: 100_000, stored: 99_999 })).toBe("99.99 %");
  expect(shareText({ expected: 100_000, stored: 100_000 })).toBe("100 %");
  expect(shareText({ expected: 3, stored: 0 })).toBe("0.00 %");
  expect(shareText({ expected: 0, stored: 0 })).toBeNull();
  expect(shareText({ expected: null, stored: 7 })).toBeNull();
});

test("what nobody knows is unknown and not 0, and a count says why", async () => {
  const [row] = rowsOf([BY_EXCEPTION], []);
  expect(row && cellText(row.cells.lost)).toBe("unknown");
  const [dropped] = rowsOf([{ ...COUNTS, dropped: { bytes: 1200, age: 0, damaged: 3 } }], []);
  expect(dropped && cellText(dropped.cells.dropped)).toBe("1,203 (1,200 no space, 3 damaged)");
  const rejected = { ...REJECTED, unknown_property: 5 };
  const [unknown] = rowsOf([{ ...COUNTS, rejected }], []);
  expect(unknown && cellText(unknown.cells.rejected)).toBe("5 (5 property not in the catalogue)");
  await chooseLanguage("zh-Hant");
  expect(row && cellText(row.cells.lost)).toBe("不詳");
  expect(unknown && cellText(unknown.cells.rejected)).toBe("5 (目錄沒有此項目 5 個)");
  await chooseLanguage("en");
});
