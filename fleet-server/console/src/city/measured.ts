// How long the page takes for what must be fast, where the browser's own tools and the benchmark find it.

/** A browser keeps every measure until it is told not to. */
const MOST_KEPT = 1_000;

const counts = new Map<string, number>();

/** Does this, and notes under this name how long it took. */
export function measured(name: string, work: () => void): void {
  const start = performance.now();
  work();
  const count = (counts.get(name) ?? 0) + 1;
  if (count > MOST_KEPT) performance.clearMeasures(name);
  counts.set(name, count > MOST_KEPT ? 1 : count);
  performance.measure(name, { start });
}
