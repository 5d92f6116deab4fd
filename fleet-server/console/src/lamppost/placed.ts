// Runs of the agent that never learnt the time: their lamppost has placed them where they fit, and their times are not
// exact (D3). The distances within such a run are.

import { get, type Schemas } from "../api/client";
import { formatTime } from "../format/times";
import { t } from "../messages/index.svelte";
import type { Point, Window } from "./points";

/** Where such a run is shown, and between what it lay. */
export type Placed = {
  readonly run: string;
  readonly from: number;
  /** The newest time that is known of it: what is still to come may be later. */
  readonly to: number;
  /** Null: nothing is known of that. */
  readonly earliest: number | null;
  readonly latest: number;
};

type Run = Pick<Schemas["RunDocument"], "run" | "opened" | "ended" | "placed_between">;

/** Runs are read newest first, so many at once … */
const RUNS = 100;
/** … and so often: an agent that starts every few minutes has thousands of them in a range of days. */
const MOST_PAGES = 10;

/** Those of this window, the newest first. */
export async function readPlaced(lamppost: string, window: Window, signal: AbortSignal): Promise<Placed[]> {
  const found: Placed[] = [];
  let after: string | null = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query: { limit: number; after?: string } =
      after === null ? { limit: RUNS } : { limit: RUNS, after };
    const path = { number: lamppost };
    const { runs, next } = await get("/api/v1/lampposts/{number}/outboxes", { path, query, signal });
    found.push(...placedOf(runs).filter((one) => one.from < window.to && one.to >= window.from));
    const oldest = runs.at(-1)?.opened ?? null;
    // Those without an opening come last, and nothing is known of where they lie.
    if (next === null || oldest === null || Date.parse(oldest) < window.from) break;
    after = next;
  }
  return found;
}

export function placedOf(runs: readonly Run[]): Placed[] {
  return runs.flatMap(({ run, opened, ended, placed_between }) => {
    // Of a run that was placed and whose opening is here an end is known, if only what is newest of it.
    if (placed_between === null || opened === null || ended === null) return [];
    const { earliest, latest } = placed_between;
    return {
      run,
      from: Date.parse(opened),
      to: Date.parse(ended),
      earliest: earliest === null ? null : Date.parse(earliest),
      latest: Date.parse(latest),
    };
  });
}

/** Between what such a run lay. */
export function betweenText({ earliest, latest }: Pick<Placed, "earliest" | "latest">): string {
  const until = { latest: formatTime(latest) };
  return earliest === null
    ? t("lamppost.placed.before", until)
    : t("lamppost.placed.between", { earliest: formatTime(earliest), ...until });
}

/**
 * Between what an observation lay, or those of a bucket, of which the runs may be only a part; null: its time is known.
 * No observation of such a run is good.
 */
export function boundsText(
  placed: readonly Placed[],
  { start, end, good, uncertain, bad }: Point,
): string | null {
  if (uncertain + bad === 0) return null;
  // A bucket ends before what begins where it ends.
  const found = placed.filter(({ from, to }) => start <= to && (end > from || start >= from));
  if (found.length === 0) return null;
  const least = (of: (one: Placed) => number): number => Math.min(...found.map(of));
  const greatest = (of: (one: Placed) => number): number => Math.max(...found.map(of));
  const earliest = least((one) => one.earliest ?? -Infinity);
  const bounds = betweenText({
    earliest: earliest === -Infinity ? null : earliest,
    latest: greatest(({ latest }) => latest),
  });
  const isPart = good > 0 || start < least(({ from }) => from) || end > greatest(({ to }) => to);
  return isPart ? t("lamppost.placed.part", { bounds }) : bounds;
}
