import { render } from "svelte/server";
import { beforeAll, expect, test, vi } from "vitest";

// The texts, the route and the theme go by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: { dataset: {} } });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener: () => undefined }));
  vi.stubGlobal("location", { hash: "" });
  vi.stubGlobal("addEventListener", () => undefined);
});

import { clock } from "../live/clock.svelte";
import type { Status } from "../marks/status";
import { loadMessages } from "../messages/index.svelte";
import PointsTable from "./PointsTable.svelte";
import ReadingValue from "./ReadingValue.svelte";
import { Readings, type Reading } from "./readings.svelte";
import type { Series } from "./series";
import SeriesPanel from "./SeriesPanel.svelte";

const SERIES: Series = {
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
const UPTIME: Series = { ...SERIES, property: "agent_uptime", unit: "s", statistic: "last", resolution: "1" };

beforeAll(() => loadMessages("lamppost"));

test("a value of a lamppost that is offline or was never heard says so, and is none of those that are fresh", () => {
  const fresh = reading();
  expect(valueOf(fresh, "reporting")).toBe("27.30 °C");
  for (const status of ["offline", "never"] as const) {
    expect(valueOf(fresh, status)).toBe("27.30 °C offline");
    expect(valueOf({ ...fresh, period_ms: null }, status)).toBe("27.30 °C offline");
  }
  expect(valueOf({ ...fresh, period_ms: null }, "late")).toBe("27.30 °C late");
  expect(valueOf({ ...fresh, time_ms: fresh.time_ms - 7_000 }, "reporting")).toBe("27.30 °C late");
});

test("the head of a chart says of its value when it was observed and how far it is to be believed", () => {
  const head = headOf("good");
  expect(head).toMatch(/27\.30 °C Good \d\d:\d\d:\d\d · now/);
  expect(headOf("uncertain")).toMatch(/27\.30 °C Uncertain \d\d:\d\d:\d\d/);
});

test("every number of a table has its unit: in the head of its column, or with it", () => {
  const points = [
    {
      start: 0,
      end: 60_000,
      value: 95,
      minimum: 61,
      maximum: 3_725,
      good: 2,
      uncertain: 0,
      bad: 0,
      reason: null,
    },
  ];
  const of = (series: Series) =>
    textOf(
      render(PointsTable, { props: { points, series, span_ms: 3_600_000, raw: false, placed: [] } }).body,
    );
  expect(of(SERIES)).toMatch(/Mean °C Least °C Greatest °C/);
  expect(of(UPTIME)).toMatch(/ 1 min 35 s 1 min 1 s 1 h 2 min 5 s /);
});

function reading(): Reading {
  return { time_ms: clock.now_ms, value: 27.3, quality: "good", reason: "good", period_ms: 2_000 };
}

function valueOf(reading: Reading, status: Status): string {
  return textOf(render(ReadingValue, { props: { reading, series: SERIES, status } }).body);
}

function headOf(quality: "good" | "uncertain"): string {
  const readings = new Readings();
  const { time_ms, value, period_ms } = reading();
  const of = { lamppost: "DF1", series: SERIES.name, time_ms, period_ms, received_ms: time_ms, unit: "Cel" };
  readings.follow([{ ...of, value, quality, reason: quality }]);
  const { body } = render(SeriesPanel, {
    props: {
      ...{
        lamppost: "DF1",
        series: SERIES,
        readings,
        status: "reporting",
        generation: 1,
        stops: [],
        placed: [],
      },
      range: { kind: "last", preset: "1h" },
      ...{ pointed: null, wide: false, onpoint: nothing, onzoom: nothing, onwide: nothing },
    },
  });
  return textOf(body.slice(body.indexOf("<header"), body.indexOf("</header>")));
}

const nothing = (): void => undefined;

/** What can be read of it. */
function textOf(html: string): string {
  return html
    .replaceAll(/<!--.*?-->/g, "")
    .replaceAll(/<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
}
