import { expect, test } from "vitest";

import type { Schemas } from "../api/client";
import { devicesOf, type Property } from "./series";

const GRID = { period_ms: 2_000, phase_ms: 0 };
const CATALOGUE: Property[] = [
  {
    name: "air_temperature",
    title_en: "Air temperature",
    title_zh: "氣溫",
    unit: "Cel",
    statistic: "mean",
    resolution: "0.01",
  },
];

test("devices and series stand in the order of the description", () => {
  const series = ["weather-1/wind", "weather-1/air_temperature"];
  const described = [{ name: "weather-1", model: "bme280", grid: GRID, series }];
  const [device, ...others] = devicesOf(described, [known("weather-1", "air_temperature")], CATALOGUE);
  expect(others).toEqual([]);
  expect(device).toMatchObject({ model: "bme280", period_ms: 2_000 });
  expect(device?.series.map(({ name }) => name)).toEqual(series);
  expect(device?.series[1]).toMatchObject({ unit: "Cel", titles: { zh: "氣溫" }, period_ms: 2_000 });
});

test("a series that was never stored is described by the catalogue, or by nothing but its name", () => {
  const series = ["weather-1/air_temperature/top", "weather-1/radon"];
  const [device] = devicesOf([{ name: "weather-1", model: "x", grid: null, series }], [], CATALOGUE);
  expect(device?.series[0]).toMatchObject({ channel: "top", unit: "Cel", resolution: "0.01" });
  expect(device?.series[1]).toMatchObject({ unit: "1", titles: null, period_ms: null, floor_ms: null });
});

test("what only the server still knows comes last, and is said to be gone", () => {
  const described = [
    { name: "weather-1", model: "bme280", grid: GRID, series: ["weather-1/air_temperature"] },
  ];
  const stored = [
    known("air-1", "pm1"),
    known("weather-1", "air_temperature"),
    known("weather-1", "rainfall"),
  ];
  const devices = devicesOf(described, stored, CATALOGUE);
  expect(devices.map(({ name, model }) => [name, model])).toEqual([
    ["weather-1", "bme280"],
    ["air-1", null],
  ]);
  expect(devices[0]?.series.map(({ property }) => property)).toEqual(["air_temperature", "rainfall"]);
});

function known(device: string, property: string): Schemas["DescribedSeries"] {
  return {
    lamppost: "KB0007",
    device,
    property,
    channel: null,
    unit: "Cel",
    statistic: "mean",
    resolution: "0.01",
    grid: GRID,
    floor: null,
    latest: null,
  };
}
