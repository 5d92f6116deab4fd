// How each lamppost is drawn on the map, as one number a lamppost: by its status, or by the step that its value is in.
// A value that is not fresh has no step: it is drawn hollow and grey, whatever it was.

import { type Fleet, UNCERTAIN } from "./fleet";
import { type Scale, stepOf } from "./scale";

/** Not drawn at all. */
export const HIDDEN = 255;
/** Added to the place in the palette of a value that is doubtful. */
export const DOUBTFUL = 16;
/** Place in the palette of what has no fresh value; steps are before it. */
export const NO_VALUE = 15;

/** By what lampposts are coloured: null is their status. */
export interface Colouring {
  property: string | null;
  scale: Scale | null;
}

export class Painting {
  readonly fleet: Fleet;
  /** By row: a place in the palette, perhaps with DOUBTFUL, or HIDDEN. */
  readonly classes: Uint8Array;
  #colouring: Colouring = { property: null, scale: null };
  #shown: Uint8Array;

  constructor(fleet: Fleet) {
    this.fleet = fleet;
    this.classes = new Uint8Array(fleet.count).fill(HIDDEN);
    this.#shown = new Uint8Array(fleet.count);
  }

  /** Only these rows are drawn (1), and like this; tells whether that changes anything. */
  choose(colouring: Colouring, shown: Uint8Array, now_ms: number): boolean {
    this.#colouring = colouring;
    this.#shown = shown;
    return this.all(now_ms);
  }

  /** Looks at all rows: by the clock alone, values become late. */
  all(now_ms: number): boolean {
    let changed = false;
    for (let row = 0; row < this.classes.length; row += 1) changed = this.#look(row, now_ms) || changed;
    return changed;
  }

  some(rows: readonly number[], now_ms: number): boolean {
    let changed = false;
    for (const row of rows) changed = this.#look(row, now_ms) || changed;
    return changed;
  }

  #look(row: number, now_ms: number): boolean {
    const next = this.#shown[row] === 1 ? this.#classOf(row, now_ms) : HIDDEN;
    if (this.classes[row] === next) return false;
    this.classes[row] = next;
    return true;
  }

  #classOf(row: number, now_ms: number): number {
    const { fleet } = this;
    const { property, scale } = this.#colouring;
    if (property === null) return fleet.status[row] ?? HIDDEN;
    if (scale === null || fleet.property !== property) return NO_VALUE;
    if (fleet.freshness(row, now_ms) !== "fresh") return NO_VALUE;
    const step = stepOf(scale, fleet.value[row] ?? NaN);
    return fleet.valueQuality[row] === UNCERTAIN ? step + DOUBTFUL : step;
  }
}
