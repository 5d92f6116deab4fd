import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import { chooseLanguage, loadMessages } from "../messages/index.svelte";
import { formatFigure, formatMeasure, headUnit } from "./measures";
import { formatLength } from "./times";

const UPTIME = { unit: "s", resolution: "1" };
const HOUR = 3_600;
const DAY = 24 * HOUR;

beforeAll(() => loadMessages("shell"));

test("a length of time is told in the units that people count in, and never in bare seconds", () => {
  const told = [0, 45, 60, 75, 2 * HOUR, 3 * HOUR + 5, 3 * HOUR + 12 * 60 + 5].map((s) => formatLength(s));
  expect(told).toEqual(["0 s", "45 s", "1 min", "1 min 15 s", "2 h", "3 h 5 s", "3 h 12 min 5 s"]);
  expect([DAY, 2 * DAY + 3 * HOUR + 725, 1_000 * DAY].map((s) => formatLength(s))).toEqual([
    "1 day",
    "2 days 3 h 12 min 5 s",
    "1,000 days",
  ]);
});

test("a length of time is rounded to the decimals of its resolution before it is told apart", () => {
  expect([59.4, 59.6, 119.7, -0.2, -90].map((s) => formatLength(s))).toEqual([
    "59 s",
    "1 min",
    "2 min",
    "0 s",
    "-1 min 30 s",
  ]);
  expect([2.5, 59.96, 61.5].map((s) => formatLength(s, 1))).toEqual(["2.5 s", "1 min", "1 min 2 s"]);
});

test("a property of a unit of time is shown as a length of time, in both languages", async () => {
  expect(formatMeasure(93_784, UPTIME)).toBe("1 day 2 h 3 min 4 s");
  expect(formatMeasure(1.5, { unit: "h", resolution: "0.1" })).toBe("1 h 30 min");
  await chooseLanguage("zh-Hant");
  expect(formatMeasure(93_784, UPTIME)).toBe("1 天 2 小時 3 分鐘 4 秒");
  await chooseLanguage("en");
});

test("below a head with the unit a figure stands alone; a length of time says its own units", () => {
  const temperature = { unit: "Cel", resolution: "0.01" };
  expect([headUnit("Cel"), formatFigure(27.3, temperature)]).toEqual(["°C", "27.30"]);
  expect([headUnit("s"), formatFigure(125, UPTIME)]).toEqual(["", "2 min 5 s"]);
});
