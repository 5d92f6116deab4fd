// The palette of the map's symbols: for each place in it a shape and a colour, as the shader takes them. The colours of
// statuses are those of the whole console, by its style sheet.

import { STATUS_NAMES } from "./fleet";
import { type Colouring, NO_VALUE } from "./painting";
import { channels } from "./scale";

export const SHAPE = { circle: 0, triangle: 1, square: 2, hollowDiamond: 3, hollowCircle: 4 } as const;

const PLACES = 16;

/** As the marks of statuses everywhere: circle, triangle, square, hollow diamond. */
const STATUS_SHAPES: readonly number[] = [SHAPE.circle, SHAPE.triangle, SHAPE.square, SHAPE.hollowDiamond];
/** What somebody must look after is larger, and on top. */
const STATUS_SIZES: readonly number[] = [1, 1.3, 1.15, 1.1];
const STATUS_ON_TOP: readonly number[] = [0, 1, 1, 0];

/** Contrasts with every colour of the ramps, and with the land. */
const DARK_EDGE = "#10202e";
const LIGHT_EDGE = "#ffffff";

export interface Look {
  /** Red, green and blue, 0 to 1, of each place. */
  fill: Float32Array;
  shape: Float32Array;
  size: Float32Array;
  onTop: Float32Array;
  /** Of the outline of what is filled. */
  edge: Float32Array;
  /** Of the outlines of what is hollow: as faint as the map. */
  halo: Float32Array;
  /** Of the outline of doubtful values. */
  doubt: Float32Array;
  /** Of the ring around what is selected. */
  ring: Float32Array;
}

/** `token` tells a colour of the style sheet, as `#rrggbb`. */
export function lookOf({ property, scale }: Colouring, dark: boolean, token: (name: string) => string): Look {
  const look: Look = {
    fill: new Float32Array(3 * PLACES),
    shape: new Float32Array(PLACES),
    size: new Float32Array(PLACES).fill(1),
    onTop: new Float32Array(PLACES),
    edge: rgb(dark === (property === null) ? DARK_EDGE : LIGHT_EDGE),
    halo: rgb(dark ? DARK_EDGE : LIGHT_EDGE),
    doubt: rgb(token("--uncertain")),
    ring: rgb(token("--accent")),
  };
  if (property === null) {
    STATUS_NAMES.forEach((status, place) => look.fill.set(rgb(token(`--${status}`)), 3 * place));
    look.shape.set(STATUS_SHAPES);
    look.size.set(STATUS_SIZES);
    look.onTop.set(STATUS_ON_TOP);
  } else {
    scale?.colors.forEach((color, place) => look.fill.set(rgb(color), 3 * place));
    look.onTop.fill(1);
    look.fill.set(rgb(token("--never")), 3 * NO_VALUE);
    look.shape[NO_VALUE] = SHAPE.hollowCircle;
    look.onTop[NO_VALUE] = 0;
  }
  return look;
}

function rgb(color: string): Float32Array {
  return Float32Array.from(channels(color.trim()), (channel) => channel / 255);
}
