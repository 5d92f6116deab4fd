// Times and lengths of time as people read them. Times of day are those of the city, wherever the browser is.

import { locale, t, tCount } from "../messages/index.svelte";
import { formatValue } from "./numbers";

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

/**
 * `45 s`, `3 h 12 min 5 s`, `2 days 3 h`: a length of time to the second, without what there is none of. What is shorter
 * than a minute has so many decimals.
 */
export function formatLength(seconds: number, decimals = 0): string {
  const exact = Number(Math.abs(seconds).toFixed(decimals));
  const sign = seconds < 0 && exact > 0 ? "-" : "";
  if (exact < 60) return `${sign}${formatValue(exact, decimals)} ${t("unit.second")}`;
  const whole = Math.round(exact);
  const [days, hours] = [Math.floor(whole / 86_400), Math.floor(whole / 3_600) % 24];
  const [minutes, rest] = [Math.floor(whole / 60) % 60, whole % 60];
  const parts = [
    ...(days > 0 ? [tCount("unit.days", days)] : []),
    ...(hours > 0 ? [`${hours} ${t("unit.hour")}`] : []),
    ...(minutes > 0 ? [`${minutes} ${t("unit.minute")}`] : []),
    ...(rest > 0 ? [`${rest} ${t("unit.second")}`] : []),
  ];
  return sign + parts.join(" ");
}
