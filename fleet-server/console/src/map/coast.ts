// The land around Hong Kong, from GSHHG. basemap/make-coast.py writes coast.json and says how.

import type { MultiPolygon, Polygon, Position } from "geojson";

import packed from "./coast.json";

export const COAST_VERSION = packed.version;
/** The day on which that version of GSHHG was released; its shores of Hong Kong are decades older. */
export const COAST_RELEASED = packed.released;

/** Undoes the packing: rings of differences in units of the last decimal, without the point that closes them. */
export function coast(): MultiPolygon {
  const unit = 10 ** packed.decimals;
  let start: readonly [number, number] = [0, 0];
  const ring = (deltas: readonly number[]): Position[] => {
    let [x, y] = start;
    const points: Position[] = [];
    for (let at = 0; at + 1 < deltas.length; at += 2) {
      x += deltas[at] ?? 0;
      y += deltas[at + 1] ?? 0;
      if (at === 0) start = [x, y];
      points.push([x / unit, y / unit]);
    }
    return points.concat(points.slice(0, 1));
  };
  return { type: "MultiPolygon", coordinates: packed.polygons.map((rings) => rings.map(ring)) };
}

/** As far as the coast is known: all that is no land in here is sea. */
export function sheet(): Polygon {
  const [west = 0, south = 0, east = 0, north = 0] = packed.bounds;
  const corners = [west, east, east, west, west].map((longitude, at) => [
    longitude,
    at < 2 || at > 3 ? south : north,
  ]);
  return { type: "Polygon", coordinates: [corners] };
}
