import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import { formatMeasure } from "../format/measures";
import { shownUnit } from "../format/units";
import { chooseLanguage, loadMessages } from "../messages/index.svelte";
import { pointOf } from "./points";
import type { Series } from "./series";
import { axisTime, lengthText, readoutOf, summaryText, titleOf } from "./texts";

const TEMPERATURE: Series = {
  name: "weather-1/air_temperature",
  device: "weather-1",
  property: "air_temperature",
  channel: null,
  unit: "Cel",
  statistic: "mean",
  resolution: "0.01",
  period_ms: 2_000,
  floor_ms: null,
  titles: { en: "Air temperature", zh: "氣溫" },
};
const VEHICLES: Series = { ...TEMPERATURE, unit: "{vehicle}", statistic: "sum", resolution: "1" };
const NOON = Date.parse("2026-07-01T04:00:00Z");

beforeAll(() => loadMessages("lamppost"));

test("values have the decimals of their resolution, and their unit", () => {
  expect(formatMeasure(27.3, TEMPERATURE)).toBe("27.30 °C");
  expect(formatMeasure(27.3049, TEMPERATURE)).toBe("27.30 °C");
  expect(formatMeasure(-0.001, TEMPERATURE)).toBe("0.00 °C");
  expect(formatMeasure(1, VEHICLES)).toBe("1 vehicle");
  expect(formatMeasure(1200, VEHICLES)).toBe("1,200 vehicles");
  expect(formatMeasure(350.04, { ...TEMPERATURE, unit: "deg", resolution: "0.1" })).toBe("350.0°");
  expect(formatMeasure(3, { ...VEHICLES, unit: "1" })).toBe("3");
});

test("units of the catalogue are words in both languages, and signs in neither", async () => {
  const units = ["{vehicle}", "{record}", "{tick}", "s", "KiBy", "Cel", "[ppb]", "ug/m3", "dB[SPL]", "%"];
  expect(units.map((unit) => shownUnit(unit)).join(" ")).toBe(
    "vehicles records ticks s KiB °C ppb µg/m³ dB %",
  );
  await chooseLanguage("zh-Hant");
  expect(units.map((unit) => shownUnit(unit)).join(" ")).toBe("輛 項紀錄 次 秒 KiB °C ppb µg/m³ dB %");
  expect(titleOf({ ...TEMPERATURE, channel: "top" })).toBe("氣溫（通道 top）");
  await chooseLanguage("en");
  expect(titleOf({ ...TEMPERATURE, titles: null })).toBe("air_temperature");
});

test("a bad observation says why, and has no value", () => {
  const point = pointOf({ time_ms: NOON, value: null, quality: "bad", reason: "no-answer" });
  const { time, value, rest } = readoutOf(point, TEMPERATURE, 3_600_000);
  expect([time, value, ...rest]).toEqual(["12:00:00", "no value", "Bad", "The sensor does not answer"]);
});

test("a bucket says by which statistic, between what, and of how many", () => {
  const counts = { good: 9, uncertain: 1, bad: 0 };
  const values = { value: 27.345, minimum: 27, maximum: 28.5 };
  const point = { start: NOON, end: NOON + 20_000, ...values, ...counts, reason: null };
  const { time, value, rest } = readoutOf(point, TEMPERATURE, 3_600_000);
  expect(time).toBe("12:00:00 – 12:00:20");
  expect(value).toMatch(/^Mean 27\.3[45] °C$/);
  expect(rest).toEqual(["27.00 °C to 28.50 °C", "good 9, uncertain 1, bad 0"]);
});

test("sums are summed up, directions have no least", () => {
  const summary = { least: 1, greatest: 9, total: 20, good: 5, uncertain: 1, bad: 0 };
  expect(summaryText(summary, VEHICLES, null)).toBe(
    "6 observations · 1 uncertain · 20 vehicles in all · each observation",
  );
  const direction: Series = { ...TEMPERATURE, statistic: "vector_mean" };
  expect(summaryText(summary, direction, 90_000)).toBe("6 observations · 1 uncertain · Vector mean of 90 s");
});

test("steps are told exactly, and a day begins with its date", () => {
  expect([200, 90_000, 900_000, 21_600_000, 86_400_000].map(lengthText)).toEqual([
    "200 ms",
    "90 s",
    "15 min",
    "6 h",
    "1 day",
  ]);
  expect(axisTime(NOON, 3_600_000)).toBe("12:00");
  expect(axisTime(NOON, 5_000)).toBe("12:00:00");
  expect(axisTime(NOON + 12 * 3_600_000, 3_600_000)).toBe("2 Jul");
});
