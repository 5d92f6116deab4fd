// Rates from counters that count from the server's start.

/** What a counter showed, and when, by one clock. */
export type Sample = { readonly time_ms: number; readonly count: number };

/**
 * Per second, between each sample and the one before. A counter that went back belongs to a server that was started
 * anew: nothing is known across that.
 */
export function ratesOf(samples: readonly Sample[]): (number | null)[] {
  return samples.slice(1).map((sample, place) => {
    const before = samples[place];
    if (before === undefined || sample.count < before.count || sample.time_ms <= before.time_ms) return null;
    return ((sample.count - before.count) * 1000) / (sample.time_ms - before.time_ms);
  });
}

/** Over all of the samples since the counter last went back; null with fewer than two. */
export function meanRate(samples: readonly Sample[]): number | null {
  let first = samples.length - 1;
  while (first > 0 && (samples[first - 1]?.count ?? 0) <= (samples[first]?.count ?? 0)) first -= 1;
  const [begin, end] = [samples[first], samples.at(-1)];
  if (begin === undefined || end === undefined || end.time_ms <= begin.time_ms) return null;
  return ((end.count - begin.count) * 1000) / (end.time_ms - begin.time_ms);
}

/** Points of an SVG polyline in a box of 1 by 1, broken where a rate is unknown; the greatest rate touches the top. */
export function sparkline(rates: readonly (number | null)[], places: number): string[] {
  const most = Math.max(1e-9, ...rates.map((rate) => rate ?? 0));
  const lines: string[][] = [[]];
  rates.forEach((rate, place) => {
    if (rate === null) lines.push([]);
    else {
      const x = (places - rates.length + place) / Math.max(1, places - 1);
      lines.at(-1)?.push(`${x.toFixed(4)},${(1 - rate / most).toFixed(4)}`);
    }
  });
  return lines.filter((line) => line.length > 1).map((line) => line.join(" "));
}
