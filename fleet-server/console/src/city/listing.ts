// Which lampposts are shown, and in which order. One pass over the columns decides all of it: a hundred thousand rows
// are searched and sorted between two frames.

import { BAD, type Fleet, QUALITY_NAMES, STATUS_NAMES, UNCERTAIN } from "./fleet";

export const SORT_KEYS = ["number", "status", "quality", "road", "district", "newest", "value"] as const;
export type SortKey = (typeof SORT_KEYS)[number];
export type Sort = { key: SortKey; descending: boolean };

/** What a lamppost must be to be shown; what is null or empty does not matter. */
export interface Filter {
  /** Words that must all be found in number, road or district. */
  text: string;
  /** Codes of statuses. */
  statuses: ReadonlySet<number>;
  /** A code of {@link QUALITY_NAMES}. */
  quality: number | null;
  road: string | null;
  district: string | null;
}

export const NO_FILTER: Filter = { text: "", statuses: new Set(), quality: null, road: null, district: null };

export interface Listing {
  /** The rows of the fleet that are shown, in the order in which they are. */
  rows: Uint32Array;
  /** For each row of the fleet: 1 if it is shown. */
  shown: Uint8Array;
  /** By code of status: how many pass the filter, that of the status left out. */
  ofStatus: readonly number[];
}

/** What people do not mean when they type: case, full width, accents put together or not. */
export function folded(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

/** The texts of a fleet made ready: to be searched, and to be sorted as people of a language do. */
export class Texts {
  readonly #numbers: readonly string[];
  readonly #roads: readonly string[];
  readonly #districts: readonly string[];
  readonly roadRank: Uint32Array;
  readonly districtRank: Uint32Array;

  constructor(fleet: Fleet, language: string) {
    const collator = new Intl.Collator(language, { numeric: true });
    this.#numbers = fleet.numbers.map(folded);
    this.#roads = fleet.roads.map(folded);
    this.#districts = fleet.districts.map(folded);
    this.roadRank = ranks(fleet.roads, collator);
    this.districtRank = ranks(fleet.districts, collator);
  }

  /** For each word: tests a row. Roads and districts are looked through once, not once for each of their lampposts. */
  matchers(text: string, fleet: Fleet): ((row: number) => boolean)[] {
    const words = folded(text)
      .split(/\s+/)
      .filter((word) => word !== "");
    return words.map((word) => {
      const roads = this.#roads.map((road) => road.includes(word));
      const districts = this.#districts.map((district) => district.includes(word));
      const numbers = this.#numbers;
      return (row) =>
        roads[fleet.road[row] ?? 0] === true ||
        districts[fleet.district[row] ?? 0] === true ||
        numbers[row]?.includes(word) === true;
    });
  }
}

function ranks(texts: readonly string[], collator: Intl.Collator): Uint32Array {
  const order = texts
    .map((text, place) => ({ text, place }))
    .sort((one, other) => collator.compare(one.text, other.text));
  const ranked = new Uint32Array(texts.length);
  order.forEach(({ place }, rank) => (ranked[place] = rank));
  return ranked;
}

/** The lampposts of the fleet that pass, sorted; those that are equal, or have nothing to be sorted by, by number. */
export function list(fleet: Fleet, texts: Texts, filter: Filter, sort: Sort): Listing {
  const { rows, shown, ofStatus } = filtered(fleet, texts, filter);
  return { rows: sorted(fleet, texts, rows, sort), shown, ofStatus };
}

function filtered(fleet: Fleet, texts: Texts, filter: Filter): Listing {
  const words = texts.matchers(filter.text, fleet);
  const road = filter.road === null ? null : fleet.roads.indexOf(filter.road);
  const district = filter.district === null ? null : fleet.districts.indexOf(filter.district);
  const statuses = STATUS_NAMES.map((_, code) => filter.statuses.size === 0 || filter.statuses.has(code));
  const ofStatus = STATUS_NAMES.map(() => 0);
  const rows = new Uint32Array(fleet.count);
  const shown = new Uint8Array(fleet.count);
  let found = 0;
  for (let row = 0; row < fleet.count; row += 1) {
    if (district !== null && fleet.district[row] !== district) continue;
    if (road !== null && fleet.road[row] !== road) continue;
    if (filter.quality !== null && fleet.quality[row] !== filter.quality) continue;
    if (!words.every((matches) => matches(row))) continue;
    const status = fleet.status[row] ?? 0;
    ofStatus[status] = (ofStatus[status] ?? 0) + 1;
    if (statuses[status] !== true) continue;
    shown[row] = 1;
    rows[found] = row;
    found += 1;
  }
  return { rows: rows.subarray(0, found), shown, ofStatus };
}

/** `rows` are ascending. Sorts by ranks: two passes over typed arrays, in place of a comparison for every pair. */
function sorted(fleet: Fleet, texts: Texts, rows: Uint32Array, sort: Sort): Uint32Array {
  if (sort.key === "number") return sort.descending ? rows.slice().reverse() : rows;
  const keyOf = sortKey(fleet, texts, sort.key);
  const keys = new Float64Array(rows.length);
  let present = 0;
  for (let place = 0; place < rows.length; place += 1) {
    const key = keyOf(rows[place] ?? 0);
    keys[place] = sort.descending ? -key : key;
    if (!Number.isNaN(key)) present += 1;
  }
  // NaN goes last, by the order of a typed array itself: whatever the direction, what is missing comes at the end.
  const ascending = keys.slice().sort().subarray(0, present);
  const starts = distinct(ascending);
  const next = new Uint32Array(starts.values.length);
  next.set(starts.places);
  const order = new Uint32Array(rows.length);
  let missing = present;
  for (let place = 0; place < rows.length; place += 1) {
    const row = rows[place] ?? 0;
    const key = keys[place] ?? NaN;
    if (Number.isNaN(key)) {
      order[missing] = row;
      missing += 1;
    } else {
      const rank = search(starts.values, key);
      const at = next[rank] ?? 0;
      order[at] = row;
      next[rank] = at + 1;
    }
  }
  return order;
}

function sortKey(fleet: Fleet, texts: Texts, key: Exclude<SortKey, "number">): (row: number) => number {
  switch (key) {
    case "status":
      return (row) => CONCERN[fleet.status[row] ?? 0] ?? NaN;
    case "quality":
      return (row) => qualityKey(fleet, row);
    case "road":
      return (row) => texts.roadRank[fleet.road[row] ?? 0] ?? NaN;
    case "district":
      return (row) => texts.districtRank[fleet.district[row] ?? 0] ?? NaN;
    case "newest":
      return (row) => fleet.lastObservation[row] ?? NaN;
    case "value":
      return (row) => fleet.value[row] ?? NaN;
  }
}

/** By code of status: how much it concerns somebody. One that was never heard may not have been put up yet. */
const CONCERN = [0, 2, 3, 1];

/** The worse the quality the greater, then the more series are of it. */
function qualityKey(fleet: Fleet, row: number): number {
  const quality = fleet.quality[row] ?? 0;
  if (QUALITY_NAMES[quality] === null) return NaN;
  const series = quality === BAD ? fleet.bad[row] : quality === UNCERTAIN ? fleet.uncertain[row] : 0;
  return quality * 65_536 + (series ?? 0);
}

/** Each value of a sorted array once, and the place where it is first. */
function distinct(ascending: Float64Array): { values: Float64Array; places: Uint32Array } {
  const values = new Float64Array(ascending.length);
  const places = new Uint32Array(ascending.length);
  let count = 0;
  for (let place = 0; place < ascending.length; place += 1) {
    const value = ascending[place] ?? NaN;
    if (count > 0 && values[count - 1] === value) continue;
    values[count] = value;
    places[count] = place;
    count += 1;
  }
  return { values: values.subarray(0, count), places: places.subarray(0, count) };
}

function search(ascending: Float64Array, value: number): number {
  let [low, high] = [0, ascending.length - 1];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ascending[middle] ?? NaN) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
