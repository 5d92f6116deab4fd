// The address of a series as CSV: the server's own, for what is shown.

import { beginOf, type Window } from "./points";
import { firstWhole, stepParameter } from "./steps";
import type { Series } from "./series";

type Asked = {
  readonly lamppost: string;
  readonly series: Pick<Series, "device" | "property" | "channel">;
  readonly window: Window;
  /** From when on the server has the series, if the range begins before that. */
  readonly older: number | null;
  /** Up to the newest, whatever is newest when the link is followed. */
  readonly live: boolean;
  readonly step_ms: number | null;
};

/** Null: nothing of the window is left that the server could be asked for. */
export function csvAddress({ lamppost, series, window, older, live, step_ms }: Asked): string | null {
  const { device, property, channel } = series;
  const begin = beginOf(window, step_ms);
  // As the chart is: a bucket that is not whole any more is in neither.
  const from = older === null ? begin : Math.max(begin, firstWhole(older, step_ms));
  if (from >= window.to) return null;
  const query = new URLSearchParams();
  if (channel !== null) query.set("channel", channel);
  query.set("from", new Date(from).toISOString());
  if (!live) query.set("to", new Date(window.to).toISOString());
  if (step_ms !== null) query.set("step", stepParameter(step_ms));
  query.set("format", "csv");
  const path = ["lampposts", lamppost, "series", device, property].map(encodeURIComponent).join("/");
  return `/api/v1/${path}?${query}`;
}
