// How long ago something was, as people read it.

import { t, tCount } from "../messages/index.svelte";

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
