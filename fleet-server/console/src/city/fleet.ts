// All lampposts of the city in columns: where they stand, how they are, and the newest value of one observed property.
//
// A row is the place of a lamppost in the register, which is in the order of numbers. There is no object for each
// lamppost: a hundred thousand of them are a few megabytes, and a change costs what it changes. Nothing here knows the
// network, the clock or the screen.

import { isLate, timelinessOf } from "../format/late";

/** What the register says; `/api/v1/city` has it, and more. */
export interface RegisterColumns {
  revision: string;
  numbers: readonly string[];
  latitude_e6: readonly number[];
  longitude_e6: readonly number[];
  roads: readonly string[];
  road: readonly number[];
  districts: readonly string[];
  district: readonly number[];
}

/** How the lampposts are, row by row; `/api/v1/city/states` has it. Values are there if a property was asked for. */
export interface StateColumns {
  status: string;
  quality: string;
  last_observation_ms: readonly (number | null)[];
  unit?: string | null;
  values?: readonly (number | null)[];
  value_time_ms?: readonly (number | null)[];
  value_quality?: string;
  value_reason?: readonly (string | null)[];
  value_period_ms?: readonly (number | null)[];
  series?: readonly string[];
  value_series?: readonly (number | null)[];
}

/** What the live feed tells of a lamppost. */
export interface StateChange {
  lamppost: string;
  status: StatusName;
  quality: QualityName | null;
  bad: number;
  uncertain: number;
  last_observation_ms: number | null;
}

/** What the live feed tells of a series. */
export interface ObservationChange {
  lamppost: string;
  /** `device/property`, and `/channel` where a device has several. */
  series: string;
  time_ms: number;
  value?: number | null;
  quality: QualityName;
  reason: string;
  received_ms: number;
  period_ms: number | null;
}

export type StatusName = "reporting" | "late" | "offline" | "never";
export type QualityName = "good" | "uncertain" | "bad";

/** By code: from what is well to what was never there. */
export const STATUS_NAMES: readonly StatusName[] = ["reporting", "late", "offline", "never"];
/** By code, the worse the greater; null is no observation at all. */
export const QUALITY_NAMES: readonly (QualityName | null)[] = [null, "good", "uncertain", "bad"];

const STATUS_OF_LETTER: Readonly<Record<string, number>> = { r: 0, l: 1, o: 2, n: 3 };
const QUALITY_OF_LETTER: Readonly<Record<string, number>> = { "-": 0, g: 1, u: 2, b: 3 };

export const NEVER = STATUS_NAMES.indexOf("never");
export const BAD = QUALITY_NAMES.indexOf("bad");
export const UNCERTAIN = QUALITY_NAMES.indexOf("uncertain");

/** What a value is worth at some time: only a fresh one may look like one. */
export type Freshness = "fresh" | "late" | "offline" | "bad" | "none";

export class Fleet {
  readonly revision: string;
  readonly count: number;
  readonly numbers: readonly string[];
  readonly latitude_e6: Int32Array;
  readonly longitude_e6: Int32Array;
  readonly roads: readonly string[];
  readonly road: Uint32Array;
  readonly districts: readonly string[];
  readonly district: Uint32Array;

  readonly status: Uint8Array;
  readonly quality: Uint8Array;
  /** Series whose newest observation is bad, or uncertain; 0 also while the live feed has not told. */
  readonly bad: Uint16Array;
  readonly uncertain: Uint16Array;
  /** NaN without any. */
  readonly lastObservation: Float64Array;

  /** Of which property the values are; null without one, and then the columns below are as without observations. */
  property: string | null = null;
  unit: string | null = null;
  /** NaN without an observation, and for bad ones. */
  readonly value: Float64Array;
  readonly valueTime: Float64Array;
  readonly valueQuality: Uint8Array;
  readonly valueReason: (string | null)[];
  /** NaN for what is read by exception. */
  readonly valuePeriod: Float64Array;

  readonly #rows: Map<string, number>;
  /** The series that the value is of; null without an observation. */
  readonly #series: (string | null)[];

  constructor(register: RegisterColumns) {
    const count = register.numbers.length;
    this.revision = register.revision;
    this.count = count;
    this.numbers = register.numbers;
    this.latitude_e6 = Int32Array.from(register.latitude_e6);
    this.longitude_e6 = Int32Array.from(register.longitude_e6);
    this.roads = register.roads;
    this.road = Uint32Array.from(register.road);
    this.districts = register.districts;
    this.district = Uint32Array.from(register.district);
    this.status = new Uint8Array(count).fill(NEVER);
    this.quality = new Uint8Array(count);
    this.bad = new Uint16Array(count);
    this.uncertain = new Uint16Array(count);
    this.lastObservation = new Float64Array(count).fill(NaN);
    this.value = new Float64Array(count).fill(NaN);
    this.valueTime = new Float64Array(count).fill(NaN);
    this.valueQuality = new Uint8Array(count);
    this.valueReason = new Array<string | null>(count).fill(null);
    this.valuePeriod = new Float64Array(count).fill(NaN);
    this.#series = new Array<string | null>(count).fill(null);
    this.#rows = new Map(register.numbers.map((number, row) => [number, row]));
  }

  /** Where this lamppost is; undefined if it is not in this register. */
  rowOf(number: string): number | undefined {
    return this.#rows.get(number);
  }

  /** Forgets the values: from now on those of another property are shown, or none. */
  choose(property: string | null): void {
    this.property = property;
    this.unit = null;
    this.value.fill(NaN);
    this.valueTime.fill(NaN);
    this.valueQuality.fill(0);
    this.valueReason.fill(null);
    this.valuePeriod.fill(NaN);
    this.#series.fill(null);
  }

  /** Takes over a snapshot of this register's lampposts, with values of this property. */
  load(states: StateColumns, property: string | null): void {
    this.choose(property);
    this.unit = states.unit ?? null;
    for (let row = 0; row < this.count; row += 1) {
      const quality = QUALITY_OF_LETTER[states.quality.charAt(row)] ?? 0;
      if (quality !== this.quality[row]) this.bad[row] = this.uncertain[row] = 0;
      this.quality[row] = quality;
      this.status[row] = STATUS_OF_LETTER[states.status.charAt(row)] ?? NEVER;
      this.lastObservation[row] = states.last_observation_ms[row] ?? NaN;
    }
    if (property === null || states.values === undefined) return;
    for (let row = 0; row < this.count; row += 1) {
      this.value[row] = states.values[row] ?? NaN;
      this.valueTime[row] = states.value_time_ms?.[row] ?? NaN;
      this.valueQuality[row] = QUALITY_OF_LETTER[states.value_quality?.charAt(row) ?? "-"] ?? 0;
      this.valueReason[row] = states.value_reason?.[row] ?? null;
      this.valuePeriod[row] = states.value_period_ms?.[row] ?? NaN;
      this.#series[row] = states.series?.[states.value_series?.[row] ?? -1] ?? null;
    }
  }

  /**
   * Takes over how new the newest data is, and nothing else: that there is newer data is no change of a state, and the
   * live feed does not tell it. What came by the feed meanwhile may be newer still.
   */
  refresh(last_observation_ms: readonly (number | null)[]): void {
    for (let row = 0; row < this.count; row += 1) this.#observedAt(row, last_observation_ms[row] ?? NaN);
  }

  /**
   * Takes over what the feed tells; returns the rows that changed, some perhaps twice. Lampposts that are not in this
   * register are counted by `unknown`.
   */
  apply(changes: { states: readonly StateChange[]; observations: readonly ObservationChange[] }): {
    rows: number[];
    unknown: number;
  } {
    const rows: number[] = [];
    let unknown = 0;
    for (const state of changes.states) {
      const row = this.#rows.get(state.lamppost);
      if (row === undefined) unknown += 1;
      else {
        this.#state(row, state);
        rows.push(row);
      }
    }
    for (const observation of changes.observations) {
      const row = this.#rows.get(observation.lamppost);
      if (row === undefined) unknown += 1;
      else if (this.#observation(row, observation)) rows.push(row);
    }
    return { rows, unknown };
  }

  /** What the value of this row is worth. A lamppost that does not report has no fresh values, whatever their age. */
  freshness(row: number, now_ms: number): Freshness {
    const quality = this.valueQuality[row];
    if (quality === 0) return "none";
    if (quality === BAD || Number.isNaN(this.value[row])) return "bad";
    const status = STATUS_NAMES[this.status[row] ?? NEVER] ?? "never";
    const period = this.valuePeriod[row] ?? NaN;
    return timelinessOf(this.valueTime[row] ?? NaN, Number.isNaN(period) ? null : period, status, now_ms);
  }

  #state(row: number, state: StateChange): void {
    this.status[row] = STATUS_NAMES.indexOf(state.status);
    this.quality[row] = QUALITY_NAMES.indexOf(state.quality);
    this.bad[row] = state.bad;
    this.uncertain[row] = state.uncertain;
    this.#observedAt(row, state.last_observation_ms ?? NaN);
  }

  #observation(row: number, observation: ObservationChange): boolean {
    this.#observedAt(row, Math.min(observation.time_ms, observation.received_ms));
    if (this.property === null || observation.series.split("/", 2)[1] !== this.property) return false;
    if (!this.#speaks(row, observation)) return false;
    this.#series[row] = observation.series;
    this.value[row] = observation.value ?? NaN;
    this.valueTime[row] = observation.time_ms;
    this.valueQuality[row] = QUALITY_NAMES.indexOf(observation.quality);
    this.valueReason[row] = observation.quality === "good" ? null : observation.reason;
    this.valuePeriod[row] = observation.period_ms ?? NaN;
    return true;
  }

  /**
   * Whether this observation is the lamppost's value from now on. Of several series of the property the first by name is,
   * as the snapshot has it, as long as it lives: that of a device which was taken away falls behind the others, and what
   * still comes of it from a backlog is behind them already.
   */
  #speaks(row: number, { series, time_ms, period_ms }: ObservationChange): boolean {
    const shown = this.#series[row] ?? null;
    const shown_ms = this.valueTime[row] ?? NaN;
    if (shown === null || shown === series) return !(time_ms < shown_ms);
    if (series < shown) return !isLate(time_ms, period_ms, shown_ms);
    const period = this.valuePeriod[row] ?? NaN;
    return isLate(shown_ms, Number.isNaN(period) ? null : period, time_ms);
  }

  #observedAt(row: number, time_ms: number): void {
    const before = this.lastObservation[row] ?? NaN;
    if (!(time_ms <= before) && !Number.isNaN(time_ms)) this.lastObservation[row] = time_ms;
  }
}
