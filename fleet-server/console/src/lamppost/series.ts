// What a lamppost observes, put together from what its agent says, what the server knows of each series, and the
// catalogue.

import type { Schemas } from "../api/client";
import type { Statistic } from "./points";

export type Series = {
  /** `device/property` or `device/property/channel`. */
  readonly name: string;
  readonly device: string;
  readonly property: string;
  readonly channel: string | null;
  readonly unit: string;
  readonly statistic: Statistic;
  /** Values are whole numbers of this; a decimal. */
  readonly resolution: string;
  /** How often it is read; null: it reports by exception. */
  readonly period_ms: number | null;
  /** The earliest time that the server holds in memory, when the page was read; null: nothing has left it. */
  readonly floor_ms: number | null;
  /** What people call the property; null if the catalogue does not have it. */
  readonly titles: { readonly en: string; readonly zh: string } | null;
};

/** What is needed of an entry of the catalogue. */
export type Property = Pick<
  Schemas["PropertyDocument"],
  "name" | "title_en" | "title_zh" | "unit" | "statistic" | "resolution"
>;

export type Device = {
  readonly name: string;
  /** Null if the agent's newest description does not have the device any more. */
  readonly model: string | null;
  readonly period_ms: number | null;
  readonly series: readonly Series[];
};

/** In the order of the agent's description, then what only the server still knows. */
export function devicesOf(
  described: readonly Schemas["DeviceDocument"][],
  known: readonly Schemas["DescribedSeries"][],
  catalogue: readonly Property[],
): Device[] {
  const properties = new Map(catalogue.map((property) => [property.name, property]));
  const knownByName = new Map(known.map((series) => [nameOf(series), series]));
  const placed = new Set<string>();
  const devices: Device[] = described.map((device) => {
    const period_ms = device.grid?.period_ms ?? null;
    const series = device.series.map((name) => {
      placed.add(name);
      return seriesOf(name, period_ms, knownByName.get(name), properties);
    });
    return { name: device.name, model: device.model, period_ms, series };
  });
  for (const [name, known] of knownByName) {
    if (placed.has(name)) continue;
    const series = seriesOf(name, known.grid?.period_ms ?? null, known, properties);
    const index = devices.findIndex((device) => device.name === known.device);
    const device = devices[index];
    if (device !== undefined) devices[index] = { ...device, series: [...device.series, series] };
    else devices.push({ name: known.device, model: null, period_ms: null, series: [series] });
  }
  return devices;
}

/** `device/property` or `device/property/channel`, as observations of the live feed are named. */
export function nameOf(series: { device: string; property: string; channel: string | null }): string {
  const { device, property, channel } = series;
  return channel === null ? `${device}/${property}` : `${device}/${property}/${channel}`;
}

function seriesOf(
  name: string,
  period_ms: number | null,
  known: Schemas["DescribedSeries"] | undefined,
  properties: ReadonlyMap<string, Property>,
): Series {
  const [device = "", property = "", channel = null] = name.split("/");
  const entry = properties.get(property);
  return {
    name,
    device,
    property,
    channel,
    unit: known?.unit ?? entry?.unit ?? "1",
    statistic: known?.statistic ?? entry?.statistic ?? "last",
    resolution: known?.resolution ?? entry?.resolution ?? "1",
    period_ms,
    floor_ms: known?.floor ? Date.parse(known.floor) : null,
    titles: entry === undefined ? null : { en: entry.title_en, zh: entry.title_zh },
  };
}
