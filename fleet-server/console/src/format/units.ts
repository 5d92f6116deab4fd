// Units as people write them. The API names units by UCUM, which is for machines.

import { t, tCount } from "../messages/index.svelte";
import type { CountKey } from "../messages/types";

/** The same in every language. */
const SIGNS: Readonly<Record<string, string>> = {
  Cel: "°C",
  "ug/m3": "µg/m³",
  "{#}/dL": "/0.1 L",
  "#/dL": "/0.1 L",
  deg: "°",
  "m/s": "m/s",
  "[ppb]": "ppb",
  "[ppm]": "ppm",
  "dB[SPL]": "dB",
  By: "B",
  KiBy: "KiB",
  MiBy: "MiB",
  "1": "",
};

const WORDS: Readonly<Record<string, "unit.second" | "unit.minute" | "unit.hour">> = {
  s: "unit.second",
  min: "unit.minute",
  h: "unit.hour",
};

const COUNTED: Readonly<Record<string, CountKey>> = {
  "{vehicle}": "unit.vehicle",
  "{record}": "unit.record",
  "{tick}": "unit.tick",
};

/** Units of time that people do not count far in: 93784 s is about a day. */
const SECONDS: Readonly<Record<string, number>> = { s: 1, min: 60, h: 3_600, d: 86_400 };

/** How many seconds this unit is; null if it is none of time. */
export function secondsIn(ucum: string): number | null {
  return SECONDS[ucum] ?? null;
}

/**
 * `Cel` is shown as `°C`; a unit that has no better way to be written is shown as it is. What is counted depends on how
 * many there are.
 */
export function shownUnit(ucum: string, count = 2): string {
  const word = WORDS[ucum];
  if (word !== undefined) return t(word);
  const counted = COUNTED[ucum];
  if (counted !== undefined) return tCount(counted, count);
  return SIGNS[ucum] ?? ucum.replaceAll(/[{}[\]]/g, "");
}
