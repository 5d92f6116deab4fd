// Which range of time the charts show: the last hour and the like, which follows the clock, or one from then to then. It
// is in the address, so that a link shows the same.

import type { Window } from "./points";

export const PRESETS = [
  { name: "15m", ms: 15 * 60_000 },
  { name: "1h", ms: 3_600_000 },
  { name: "6h", ms: 6 * 3_600_000 },
  { name: "24h", ms: 86_400_000 },
  { name: "7d", ms: 7 * 86_400_000 },
] as const;

export type Preset = (typeof PRESETS)[number]["name"];
export type Range = { kind: "last"; preset: Preset } | ({ kind: "fixed" } & Window);

export const FIRST_RANGE: Range = { kind: "last", preset: "1h" };
/** Nothing is read more often than this, and a chart of nothing helps nobody. */
export const SHORTEST_MS = 1_000;

export function rangeOf(query: URLSearchParams): Range {
  const from = Date.parse(query.get("from") ?? "");
  const to = Date.parse(query.get("to") ?? "");
  if (to - from >= SHORTEST_MS) return { kind: "fixed", from, to };
  const preset = PRESETS.find((one) => one.name === query.get("range"));
  return preset === undefined ? FIRST_RANGE : { kind: "last", preset: preset.name };
}

/** What {@link rangeOf} reads. The range that is shown first needs no words. */
export function queryOf(range: Range): Record<"range" | "from" | "to", string | null> {
  if (range.kind === "fixed") {
    return { range: null, from: new Date(range.from).toISOString(), to: new Date(range.to).toISOString() };
  }
  const first = FIRST_RANGE.kind === "last" && range.preset === FIRST_RANGE.preset;
  return { range: first ? null : range.preset, from: null, to: null };
}

export function spanOf(range: Range): number {
  if (range.kind === "fixed") return range.to - range.from;
  return PRESETS.find((one) => one.name === range.preset)?.ms ?? 0;
}

export function isSame(one: Range, other: Range): boolean {
  return JSON.stringify(queryOf(one)) === JSON.stringify(queryOf(other));
}

export function windowAt(range: Range, now_ms: number): Window {
  return range.kind === "fixed"
    ? { from: range.from, to: range.to }
    : { from: now_ms - spanOf(range), to: now_ms };
}

/** For a field of date and time: what clocks in this zone show, to the second. */
export function toField(ms: number, zone: string): string {
  const shown = Math.floor(ms / 1000) * 1000;
  return new Date(shown + offsetAt(shown, zone)).toISOString().slice(0, 19);
}

/** The time at which clocks in this zone show this; null if the text is no date and time. */
export function fromField(text: string, zone: string): number | null {
  const shown = Date.parse(`${text}Z`);
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?$/.test(text) || Number.isNaN(shown)) return null;
  // The offset depends on the time, which depends on the offset: the second guess is right but where clocks change.
  const guess = shown - offsetAt(shown, zone);
  return shown - offsetAt(guess, zone);
}

function offsetAt(ms: number, zone: string): number {
  const parts = new Intl.DateTimeFormat("en-CA", {
    timeZone: zone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).formatToParts(ms);
  const of = (type: Intl.DateTimeFormatPartTypes): string =>
    parts.find((part) => part.type === type)?.value ?? "";
  const shown = Date.parse(
    `${of("year")}-${of("month")}-${of("day")}T${of("hour")}:${of("minute")}:${of("second")}Z`,
  );
  return shown - Math.floor(ms / 1000) * 1000;
}
