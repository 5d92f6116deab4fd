// Where the lampposts are on the map: in Web Mercator, as offsets from the middle of them all, since the numbers of a
// graphics card are too short to tell two lampposts apart on a map of the world.

import type { Fleet } from "./fleet";

/** West, south, east, north, in degrees. */
export type Bounds = [number, number, number, number];

/** Latitude at which Web Mercator ends. */
const MOST_NORTH = 85.051129;

export interface Points {
  /** Middle, from 0 to 1 over the whole world; y goes south. */
  x: number;
  y: number;
  /** Of each row two numbers, from there. */
  offsets: Float32Array;
}

export function pointsOf(fleet: Fleet): Points {
  const xs = Float64Array.from(fleet.longitude_e6, (degrees_e6) => mercatorX(degrees_e6 / 1e6));
  const ys = Float64Array.from(fleet.latitude_e6, (degrees_e6) => mercatorY(degrees_e6 / 1e6));
  const x = middle(xs);
  const y = middle(ys);
  const offsets = new Float32Array(2 * fleet.count);
  for (let row = 0; row < fleet.count; row += 1) {
    offsets[2 * row] = (xs[row] ?? x) - x;
    offsets[2 * row + 1] = (ys[row] ?? y) - y;
  }
  return { x, y, offsets };
}

/** The row nearest to a place, of those that are shown and within this distance, all in Mercator; null if none is. */
export function nearest(
  points: Points,
  isShown: (row: number) => boolean,
  at: { x: number; y: number },
  distance: number,
): number | null {
  const [x, y] = [at.x - points.x, at.y - points.y];
  let [best, found] = [distance * distance, null as number | null];
  for (let row = 0; row < points.offsets.length / 2; row += 1) {
    const dx = (points.offsets[2 * row] ?? NaN) - x;
    const dy = (points.offsets[2 * row + 1] ?? NaN) - y;
    const square = dx * dx + dy * dy;
    if (square <= best && isShown(row)) [best, found] = [square, row];
  }
  return found;
}

/** What holds all of these rows; null without any. */
export function boundsOf(fleet: Fleet, rows: Uint32Array): Bounds | null {
  if (rows.length === 0) return null;
  let [west, south, east, north] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const row of rows) {
    const longitude = fleet.longitude_e6[row] ?? NaN;
    const latitude = fleet.latitude_e6[row] ?? NaN;
    if (longitude < west) west = longitude;
    if (longitude > east) east = longitude;
    if (latitude < south) south = latitude;
    if (latitude > north) north = latitude;
  }
  return [west / 1e6, south / 1e6, east / 1e6, north / 1e6];
}

/** Whether at least one of these rows is within. */
export function isAnyWithin(fleet: Fleet, rows: Uint32Array, [west, south, east, north]: Bounds): boolean {
  return rows.some((row) => {
    const [longitude, latitude] = [fleet.longitude_e6[row] ?? NaN, fleet.latitude_e6[row] ?? NaN];
    return (
      longitude >= west * 1e6 && longitude <= east * 1e6 && latitude >= south * 1e6 && latitude <= north * 1e6
    );
  });
}

function middle(values: Float64Array): number {
  let [least, most] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return values.length === 0 ? 0.5 : (least + most) / 2;
}

function mercatorX(longitude: number): number {
  return (180 + longitude) / 360;
}

function mercatorY(latitude: number): number {
  const clamped = Math.max(-MOST_NORTH, Math.min(MOST_NORTH, latitude));
  return (180 - (180 / Math.PI) * Math.log(Math.tan(Math.PI / 4 + (clamped * Math.PI) / 360))) / 360;
}
