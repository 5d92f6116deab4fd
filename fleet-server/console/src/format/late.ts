// When a value is late. Pure: what decides about freshness is tested without a browser.

/** A value of a series that is read every `period_ms` is late after so many of them. */
const PERIODS = 3;

/**
 * A shorter period counts as this one, as it does on the server: an agent sends what it has synced, which it does every
 * two seconds however often it samples.
 */
const LEAST_PERIOD_MS = 2_000;

/** A value of a series that is read every `period_ms` is late after three of them; one without a period never is. */
export function isLate(time_ms: number, period_ms: number | null, now_ms: number): boolean {
  return period_ms !== null && now_ms - time_ms > PERIODS * Math.max(period_ms, LEAST_PERIOD_MS);
}
