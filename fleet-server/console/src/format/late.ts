// Whether a value is the one of now. Pure: what decides about freshness is tested without a browser.

import type { Schemas } from "../api/client";

/** A value of a series that is read every `period_ms` is late after so many of them. */
const PERIODS = 3;

/**
 * A shorter period counts as this one, as it does on the server: an agent sends what it has synced, which it does every
 * two seconds however often it samples.
 */
const LEAST_PERIOD_MS = 2_000;

/** What a value that is there is worth at some time: only a fresh one may look like one. */
export type Timeliness = "fresh" | "late" | "offline";

/** A value of a series that is read every `period_ms` is late after three of them; one without a period never is. */
export function isLate(time_ms: number, period_ms: number | null, now_ms: number): boolean {
  return period_ms !== null && now_ms - time_ms > PERIODS * Math.max(period_ms, LEAST_PERIOD_MS);
}

/** A lamppost that does not report has no fresh values, whatever their age: nothing would come that replaced them. */
export function timelinessOf(
  time_ms: number,
  period_ms: number | null,
  status: Schemas["Status"],
  now_ms: number,
): Timeliness {
  switch (status) {
    case "offline":
    case "never":
      return "offline";
    case "late":
      return "late";
    case "reporting":
      return isLate(time_ms, period_ms, now_ms) ? "late" : "fresh";
  }
}
