// What became of everything that was due, as rows of a table: one for each series.

import type { Schemas } from "../api/client";
import { formatCount } from "../format/counts";
import { formatValue } from "../format/numbers";
import { t } from "../messages/index.svelte";
import { nameOf, type Device, type Series } from "./series";

/** In the order in which they are told. */
export const VERDICTS = [
  "stored",
  "late",
  "rejected",
  "dropped",
  "lost",
  "agent_stopped",
  "not_yet_here",
  "not_recorded",
  "unknown",
] as const;
export type Verdict = (typeof VERDICTS)[number];

type Counts = Schemas["CountsDocument"];
type Reason = keyof Counts["rejected"] | keyof Counts["dropped"];

export type Cell = {
  /** Null: nobody knows. */
  readonly count: number | null;
  /** Why, where there is a reason. */
  readonly reasons: readonly { readonly reason: Reason; readonly count: number }[];
};

export type Row = {
  /** `device/property` or `device/property/channel`. */
  readonly name: string;
  /** Null if the page does not know it: nothing of it was ever taken. */
  readonly series: Series | null;
  readonly expected: number | null;
  readonly cells: Readonly<Record<Verdict, Cell>>;
  /** From when on it is counted, where that is not from the begin of the range. */
  readonly counted_from_ms: number | null;
};

export function rowsOf(counted: readonly Schemas["SeriesCounts"][], devices: readonly Device[]): Row[] {
  const known = new Map(devices.flatMap((device) => device.series).map((series) => [series.name, series]));
  return counted.map((counts) => {
    const name = nameOf(counts);
    return {
      name,
      series: known.get(name) ?? null,
      expected: counts.expected,
      cells: cellsOf(counts),
      counted_from_ms: counts.unknown_before === null ? null : Date.parse(counts.unknown_before),
    };
  });
}

/** Those verdicts that anything has: others would be columns of nothing. */
export function shownOf(rows: readonly Row[]): Verdict[] {
  return VERDICTS.filter(
    (verdict) => verdict === "stored" || rows.some((row) => (row.cells[verdict].count ?? 0) > 0),
  );
}

/** `99.98 %`: rounded down, so that only what is complete is called so. Null if nothing was due, or nobody knows. */
export function shareText({ expected, stored }: Pick<Counts, "expected" | "stored">): string | null {
  if (expected === null || expected === 0) return null;
  if (stored >= expected) return `${formatCount(100)} %`;
  return `${formatValue(Math.floor((stored / expected) * 10_000) / 100, 2)} %`;
}

/** A count with its reasons: `12 (10 no space, 2 too old)`. */
export function cellText({ count, reasons }: Cell): string {
  if (count === null) return t("lamppost.completeness.unknown");
  const told = reasons.map(({ reason, count }) =>
    t("lamppost.reason.counted", { count: formatCount(count), reason: t(`lamppost.reason.${reason}`) }),
  );
  return told.length === 0 ? formatCount(count) : `${formatCount(count)} (${told.join(", ")})`;
}

function cellsOf(counts: Counts): Record<Verdict, Cell> {
  const plain = (count: number | null): Cell => ({ count, reasons: [] });
  return {
    stored: plain(counts.stored),
    late: plain(counts.late),
    rejected: withReasons(counts.rejected),
    dropped: withReasons(counts.dropped),
    lost: plain(counts.lost),
    agent_stopped: plain(counts.agent_stopped),
    not_yet_here: plain(counts.not_yet_here),
    not_recorded: plain(counts.not_recorded),
    unknown: plain(counts.unknown),
  };
}

function withReasons(counts: Counts["rejected"] | Counts["dropped"]): Cell {
  const all = Object.entries(counts) as [Reason, number][];
  const reasons = all.filter(([, count]) => count > 0).map(([reason, count]) => ({ reason, count }));
  return { count: reasons.reduce((sum, { count }) => sum + count, 0), reasons };
}
