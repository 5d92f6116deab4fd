// The address of a series as CSV: the server's own, for what is shown.

import type { Window } from "./points";
import { bucketStart, stepParameter } from "./steps";
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

export function csvAddress({ lamppost, series, window, older, live, step_ms }: Asked): string {
  const { device, property, channel } = series;
  const begin = step_ms === null ? Math.floor(window.from) : bucketStart(window.from, step_ms);
  const query = new URLSearchParams();
  if (channel !== null) query.set("channel", channel);
  query.set("from", new Date(Math.max(begin, older ?? begin)).toISOString());
  if (!live) query.set("to", new Date(window.to).toISOString());
  if (step_ms !== null) query.set("step", stepParameter(step_ms));
  query.set("format", "csv");
  const path = ["lampposts", lamppost, "series", device, property].map(encodeURIComponent).join("/");
  return `/api/v1/${path}?${query}`;
}
