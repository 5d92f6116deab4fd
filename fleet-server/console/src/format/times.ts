// Times and ages as people read them. Times of day are those of the city, wherever the browser is.

import { locale, t, tCount } from "../messages/index.svelte";

export { isLate } from "./late";

/** The time zone of the city that this console serves. */
export const ZONE = "Asia/Hong_Kong";

const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${locale.tag} ${name}`;
  const made = formats.get(key) ?? new Intl.DateTimeFormat(locale.tag, { timeZone: ZONE, ...options });
  formats.set(key, made);
  return made;
}

/** `21 Nov 2026, 13:05:09` */
export function formatTime(ms: number): string {
  return format("time", {
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).format(ms);
}

/** `13:05:09` */
export function formatClock(ms: number): string {
  return format("clock", { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" }).format(
    ms,
  );
}

/** `12 s`, `5 min`, `3 h`, `2 days`: one unit, rounded down. */
export function formatDuration(ms: number): string {
  const seconds = Math.floor(Math.abs(ms) / 1000);
  if (seconds < 60) return `${seconds} ${t("unit.second")}`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} ${t("unit.minute")}`;
  if (seconds < 86_400) return `${Math.floor(seconds / 3600)} ${t("unit.hour")}`;
  return tCount("unit.days", Math.floor(seconds / 86_400));
}

/** `now`, `12 s ago`, or `3 min ahead` for a time that has not come yet by more than clocks may differ. */
export function formatAge(time_ms: number, now_ms: number): string {
  const age = now_ms - time_ms;
  if (age < -10_000) return t("age.ahead", { age: formatDuration(age) });
  if (age < 1_000) return t("age.now");
  return t("age.ago", { age: formatDuration(age) });
}
