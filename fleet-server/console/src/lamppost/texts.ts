// Words for what the page shows, in the language of the console.

import { formatCount } from "../format/counts";
import { formatMeasure } from "../format/measures";
import { formatClock, formatTime, ZONE } from "../format/times";
import { locale, reasonText, t, tCount } from "../messages/index.svelte";
import { boundsText, type Placed } from "./placed";
import type { Point, Summary } from "./points";
import type { Series } from "./series";
import { wholeUnits } from "./steps";

const DAY_MS = 86_400_000;
/** Of ranges as long as this, a time of day alone would not say which day it is. */
const DATED_MS = 20 * 3_600_000;

/** What people call the property; its channel beside it, where there is one. */
export function titleOf({ titles, property, channel }: Series): string {
  const title = titles === null ? property : locale.language === "en" ? titles.en : titles.zh;
  return channel === null ? title : t("lamppost.series.channel", { title, channel });
}

/** `90 s`, `15 min`: exactly so long. */
export function lengthText(ms: number): string {
  const { value, unit } = wholeUnits(ms);
  if (unit === "day") return tCount("unit.days", value);
  return `${formatCount(value)} ${unit === "millisecond" ? "ms" : t(`unit.${unit}`)}`;
}

/** A time within a range of this length. */
export function timeText(ms: number, span_ms: number): string {
  return span_ms > DATED_MS ? formatTime(ms) : formatClock(ms);
}

export type Readout = { readonly time: string; readonly value: string; readonly rest: readonly string[] };

/** One point in words: when, what, and how far it is to be believed. */
export function readoutOf(
  point: Point,
  series: Series,
  span_ms: number,
  placed: readonly Placed[] = [],
): Readout {
  const { start, end, value, minimum, maximum, good, uncertain, bad, reason } = point;
  const between = boundsText(placed, point);
  const bounds = between === null ? [] : [between];
  const counts = t("lamppost.readout.counts", {
    good: formatCount(good),
    uncertain: formatCount(uncertain),
    bad: formatCount(bad),
  });
  if (start === end) {
    const quality = bad > 0 ? "bad" : uncertain > 0 ? "uncertain" : "good";
    const doubt = reason === null || quality === "good" ? [] : [reasonText(reason)];
    return {
      time: timeText(start, span_ms),
      value: value === null ? t("value.none") : formatMeasure(value, series),
      rest: [t(`quality.${quality}`), ...doubt, ...bounds],
    };
  }
  const time = t("lamppost.readout.from-to", {
    from: timeText(start, span_ms),
    to: timeText(end, span_ms),
  });
  const extent =
    minimum === null || maximum === null
      ? []
      : [
          t("lamppost.readout.extent", {
            least: formatMeasure(minimum, series),
            greatest: formatMeasure(maximum, series),
          }),
        ];
  const summed = value === null ? t("value.none") : formatMeasure(value, series);
  return {
    time,
    value: `${t(`statistic.${series.statistic}`)} ${summed}`,
    rest: [...extent, counts, ...bounds],
  };
}

/** The whole range in words, for when nothing is pointed at. */
export function summaryText(summary: Summary, series: Series, step_ms: number | null): string {
  const { least, greatest, total, good, uncertain, bad } = summary;
  const many = good + uncertain + bad;
  const parts = [tCount("lamppost.summary.observations", many)];
  if (uncertain > 0) parts.push(t("lamppost.summary.uncertain", { count: formatCount(uncertain) }));
  if (bad > 0) parts.push(t("lamppost.summary.bad", { count: formatCount(bad) }));
  if (series.statistic === "sum") {
    parts.push(t("lamppost.summary.total", { total: formatMeasure(total, series) }));
  } else if (series.statistic !== "vector_mean" && least !== null && greatest !== null) {
    parts.push(
      t("lamppost.readout.extent", {
        least: formatMeasure(least, series),
        greatest: formatMeasure(greatest, series),
      }),
    );
  }
  parts.push(
    step_ms === null
      ? t("lamppost.summary.raw")
      : t("lamppost.summary.step", {
          statistic: t(`statistic.${series.statistic}`),
          step: lengthText(step_ms),
        }),
  );
  return parts.join(" · ");
}

const formats = new Map<string, Intl.DateTimeFormat>();

/** A label of the axis of time; where a day begins, the day. */
export function axisTime(ms: number, increment_ms: number): string {
  const clock = axisFormat("clock", { hour: "2-digit", minute: "2-digit", hourCycle: "h23" }).format(ms);
  if (increment_ms >= DAY_MS || clock === "00:00") {
    return axisFormat("day", { day: "numeric", month: "short" }).format(ms);
  }
  if (increment_ms >= 60_000) return clock;
  return formatClock(ms);
}

function axisFormat(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale.tag} ${name}`;
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale.tag, { timeZone: ZONE, ...options });
  formats.set(key, made);
  return made;
}
