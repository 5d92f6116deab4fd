// From what is known of a series over a range to what its chart draws.

import type { Schemas } from "../api/client";
import { t } from "../messages/index.svelte";
import type { Picture, Region } from "./drawing";
import { extentOf, pendingFrom, reachOf, type Point, type Window } from "./points";
import type { Series } from "./series";

type Known = {
  readonly points: readonly Point[];
  readonly window: Window;
  readonly step_ms: number | null;
  readonly newest_ms: number | null;
  /** From when on the server has the series, if the range begins before that. */
  readonly older: number | null;
  readonly now_ms: number;
  readonly series: Series;
  readonly stops: readonly Schemas["StopDocument"][];
};

export function pictureOf(known: Known): Picture {
  const { points, window, step_ms, series } = known;
  return {
    points,
    window,
    reach_ms: reachOf(step_ms, series.period_ms),
    statistic: series.statistic,
    unit: series.unit,
    period_ms: series.period_ms,
    extent: extentOf(series.statistic, points, Number(series.resolution)),
    regions: regionsOf(known),
  };
}

function regionsOf({ window, newest_ms, older, now_ms, series, stops }: Known): Region[] {
  const regions: Region[] = [];
  if (older !== null) {
    const to = Math.min(older, window.to);
    regions.push({ kind: "forgotten", from: window.from, to, text: t("lamppost.region.forgotten") });
  }
  for (const { ended, opened } of stops) {
    const [from, to] = [Date.parse(ended), Date.parse(opened)];
    if (to < window.from || from > window.to) continue;
    regions.push({ kind: "stop", from, to, text: t("lamppost.region.stop") });
  }
  const pending = pendingFrom(newest_ms, series.period_ms, window, now_ms);
  if (pending !== null) {
    regions.push({ kind: "pending", from: pending, to: window.to, text: t("lamppost.region.pending") });
  }
  return regions;
}
