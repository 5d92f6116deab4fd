// By which colours the values of a property are told apart: a few steps with round bounds, so that a legend can say them
// in full. The colours can be told apart without seeing red and green, and darken evenly in print.

export interface Scale {
  /** Between each two neighbouring steps, ascending; one fewer than there are colours. Empty for directions. */
  bounds: readonly number[];
  /** `#rrggbb`, one for each step. */
  colors: readonly string[];
  /** Directions have no ends: their steps are the eight points of the compass, from north on. */
  cyclic: boolean;
}

/** Most steps: more cannot be told apart. */
const STEPS = 7;

/** Viridis, by S. van der Walt and N. Smith (CC0). */
const VIRIDIS = [
  "#440154",
  "#472d7b",
  "#3b528b",
  "#2c728e",
  "#21918c",
  "#28ae80",
  "#5ec962",
  "#addc30",
  "#fde725",
];

/** Eight of the colours of Twilight, by B. Bechtold (CC0), from north on: north is light, south is dark. */
const TWILIGHT = ["#e2d9e2", "#9ebbc9", "#6785be", "#5e43a5", "#2f1436", "#6b1c4b", "#b25652", "#ceac94"];

export const DIRECTIONS: Scale = { bounds: [], colors: TWILIGHT, cyclic: true };

/** Steps of lengths of time, in seconds: clocks and calendars do not count in tens. Beyond the last, days do. */
const LENGTHS_S: readonly number[] = [
  ...[1, 2, 5, 10, 15, 30],
  ...[1, 2, 5, 10, 15, 30].map((minutes) => minutes * 60),
  ...[1, 2, 3, 6, 12].map((hours) => hours * 3_600),
];
const DAY_S = 86_400;

/**
 * The scale for these values: from their 2nd to their 98th percentile, so that a few odd ones do not make all others
 * look alike. Null without values. No step is smaller than the resolution of the property. `unit_s`: how many seconds
 * the unit of the values is, if it is one of time.
 */
export function scaleOf(
  values: ArrayLike<number>,
  resolution: number,
  unit_s: number | null = null,
): Scale | null {
  if (values.length === 0) return null;
  const ascending = Float64Array.from(values).sort();
  const low = percentile(ascending, 0.02);
  const high = percentile(ascending, 0.98);
  const round = unit_s === null ? roundStep : (least: number) => roundLength(least * unit_s) / unit_s;
  const step = Math.max(round((high - low) / STEPS), round(resolution));
  // Counted in steps, so that bounds are whole numbers of them and not sums with an error.
  const first = Math.floor(low / step) + 1;
  const last = Math.max(first, Math.ceil(high / step) - 1);
  const decimals = decimalsOf(step);
  const bounds = Array.from({ length: last - first + 1 }, (_, place) =>
    Number(((first + place) * step).toFixed(decimals)),
  );
  return { bounds, colors: ramp(bounds.length + 1), cyclic: false };
}

/** The step that the value is in. A bound belongs to the step above it. */
export function stepOf(scale: Scale, value: number): number {
  if (scale.cyclic) return ((Math.round(value / 45) % 8) + 8) % 8;
  let step = 0;
  while (step < scale.bounds.length && value >= (scale.bounds[step] ?? NaN)) step += 1;
  return step;
}

/** Decimals that the bounds need. */
export function boundDecimals(scale: Scale): number {
  return Math.max(0, ...scale.bounds.map(decimalsOf));
}

function percentile(ascending: Float64Array, part: number): number {
  return ascending[Math.round(part * (ascending.length - 1))] ?? NaN;
}

/** The least of 1, 2, 2.5 and 5 times a power of ten that is not smaller. */
function roundStep(least: number): number {
  if (!(least > 0)) return 0;
  const power = 10 ** Math.floor(Math.log10(least));
  const of = [1, 2, 2.5, 5, 10].find((one) => one * power >= least * (1 - 1e-9)) ?? 10;
  return Number((of * power).toPrecision(2));
}

/** The least length of time, in seconds, that people count in and that is not smaller. */
function roundLength(least_s: number): number {
  if (least_s > DAY_S / 2) return roundStep(Math.max(1, least_s / DAY_S)) * DAY_S;
  if (least_s < 1) return roundStep(least_s);
  return LENGTHS_S.find((length) => length >= least_s * (1 - 1e-9)) ?? DAY_S;
}

function decimalsOf(value: number): number {
  const [, fraction = ""] = value.toFixed(9).replace(/0+$/, "").split(".");
  return fraction.length;
}

/** So many colours, evenly along viridis. */
function ramp(count: number): string[] {
  return Array.from({ length: count }, (_, place) => {
    const at = count === 1 ? 0.5 : place / (count - 1);
    return between(VIRIDIS, at * (VIRIDIS.length - 1));
  });
}

function between(colors: readonly string[], at: number): string {
  const below = Math.floor(at);
  const one = channels(colors[below] ?? "#000000");
  const other = channels(colors[below + 1] ?? colors[below] ?? "#000000");
  const mixed = one.map((channel, place) =>
    Math.round(channel + ((other[place] ?? channel) - channel) * (at - below)),
  );
  return `#${mixed.map((channel) => channel.toString(16).padStart(2, "0")).join("")}`;
}

/** Red, green and blue of `#rrggbb`, from 0 to 255. */
export function channels(color: string): number[] {
  return [1, 3, 5].map((place) => Number.parseInt(color.slice(place, place + 2), 16));
}
