// Measured values as people read them: a number and its unit; a duration in days, hours, minutes and seconds.

import { decimalsOf, formatValue } from "./numbers";
import { formatLength } from "./times";
import { secondsIn, shownUnit } from "./units";

/** How values of a property are written. */
export type Measure = {
  /** By UCUM. */
  readonly unit: string;
  /** Values are whole numbers of this; a decimal. */
  readonly resolution: string;
};

/** `27.31 °C`, `3 h 12 min 5 s`. */
export function formatMeasure(value: number, measure: Measure): string {
  const figure = formatFigure(value, measure);
  const unit = secondsIn(measure.unit) === null ? shownUnit(measure.unit, value) : "";
  return unit === "" ? figure : unit === "°" ? `${figure}°` : `${figure} ${unit}`;
}

/** What stands below a head that says {@link headUnit}: `27.31`; of a duration all of it. */
export function formatFigure(value: number, { unit, resolution }: Measure): string {
  const seconds = secondsIn(unit);
  if (seconds === null) return formatValue(value, decimalsOf(resolution));
  return formatLength(value * seconds, seconds === 1 ? decimalsOf(resolution) : 0);
}

/** The unit for the head of many figures; empty where there is none, or where each figure says its own. */
export function headUnit(unit: string): string {
  return secondsIn(unit) === null ? shownUnit(unit) : "";
}
