// The data of the page: the fleet, kept up to date by the live feed, and the list of what is shown of it.
//
// The columns of the fleet are no state of Svelte's: a change touches a few rows of many. `version` is what says that
// something in them has changed, and whatever is drawn from them reads it.

import { flushSync, untrack } from "svelte";

import { get, Problem } from "../api/client";
import { clock } from "../live/clock.svelte";
import type { Changes } from "../live/feed";
import { Following } from "../live/follow.svelte";
import { locale } from "../messages/index.svelte";
import { linkTo } from "../shell/route.svelte";
import { Catalogue, type Property } from "./catalogue.svelte";
import { Fleet } from "./fleet";
import { list, type Listing, type SortKey, Texts } from "./listing";
import { measured } from "./measured";
import type { Scale } from "./scale";
import { ViewedState } from "./viewed.svelte";

/** Live changes put the list in a new order at most so often: rows that jump cannot be read. */
const LIST_MS = 1_000;
/** … and take at most this part of the time. */
const LIST_SHARE = 1 / 30;
/** An import while the page is open shows itself by lampposts that nobody knows. */
const RELOAD_MS = 30_000;
/** Register and states are two answers; an import may come between them, but not again and again. */
const MOST_READINGS = 5;

const EMPTY: Listing = { rows: new Uint32Array(), shown: new Uint8Array(), ofStatus: [0, 0, 0, 0] };

export class City {
  readonly viewed = new ViewedState();
  readonly #catalogue = new Catalogue();
  #fleet: Fleet | null = $state.raw(null);
  #version = $state(0);
  #listed = $state(0);
  #values: typeof import("./values") | null = $state.raw(null);
  #scale: Scale | null = $state.raw(null);
  #following: Following | null = $state.raw(null);
  /** Told at once of rows that have changed, without the detour of effects; null is all of them. */
  #watcher: ((rows: readonly number[] | null) => void) | null = null;
  #listing: ReturnType<typeof setTimeout> | undefined;
  #listTook_ms = 0;
  #reloaded_ms = -Infinity;

  readonly property: Property | null | undefined = $derived.by(() => {
    const wanted = this.viewed.property;
    if (wanted === null) return null;
    if (this.catalogue === null) return undefined;
    return this.catalogue.find((property) => property.name === wanted) ?? null;
  });

  readonly #texts = $derived.by(() => (this.#fleet === null ? null : new Texts(this.#fleet, locale.tag)));

  readonly listing: Listing = $derived.by(() => {
    void this.#listed;
    if (this.#fleet === null || this.#texts === null) return EMPTY;
    const begin = performance.now();
    const listing = list(this.#fleet, this.#texts, this.viewed.filter, this.viewed.sort);
    this.#listTook_ms = performance.now() - begin;
    return listing;
  });

  readonly selectedRow: number | null = $derived.by(() => {
    const number = this.viewed.selected;
    return number === null ? null : (this.#fleet?.rowOf(number) ?? null);
  });

  /** Null until the first snapshot is there; then it stays, also while the server is away. */
  get fleet(): Fleet | null {
    return this.#fleet;
  }

  /** Is another one whenever a column of the fleet has changed. */
  get version(): number {
    return this.#version;
  }

  /** Null until it is there. */
  get catalogue(): readonly Property[] | null {
    return this.#catalogue.properties;
  }

  /** Null until values are shown. */
  get values(): typeof import("./values") | null {
    return this.#values;
  }

  /** How values are coloured; null while no value is fresh, and when coloured by status. */
  get scale(): Scale | null {
    return this.#scale;
  }

  /** Why there is nothing to show. */
  get problem(): Problem | null {
    return this.#following?.problem ?? this.#catalogue.problem;
  }

  retry(): void {
    if (this.#following === null) void this.#catalogue.read();
    else this.#following.reload();
  }

  /** Begins to follow; to be called while the page is set up. It ends with the page. */
  run(): void {
    this.viewed.mirror();
    const stop = new AbortController();
    void this.#catalogue.read();
    $effect(() => {
      const property = this.property;
      if (property === undefined) return;
      const query = property === null ? { observations: "none" as const } : { property: property.name };
      const load = (signal: AbortSignal): Promise<string> => this.#load(property, signal);
      // What the snapshot is read into must not begin it anew.
      const following = untrack(() => new Following(query, load, (changes) => this.#apply(changes)));
      this.#following = following;
      return () => following.close();
    });
    $effect(() => {
      if (this.#fleet === null) return;
      // More often where it costs nothing: every 5 s up to some thousand lampposts, every 30 s for a whole city.
      const pause_ms = Math.min(30_000, Math.max(5_000, this.#fleet.count / 3));
      const reading = setInterval(() => {
        if (document.visibilityState === "visible") void this.#refresh(stop.signal);
      }, pause_ms);
      return () => clearInterval(reading);
    });
    $effect(() => () => {
      stop.abort();
      this.#catalogue.close();
      clearTimeout(this.#listing);
    });
  }

  /** Calls this of every change, until what is returned is called. */
  watch(watcher: (rows: readonly number[] | null) => void): () => void {
    this.#watcher = watcher;
    return () => {
      if (this.#watcher === watcher) this.#watcher = null;
    };
  }

  search(text: string): void {
    measured("lamplighter:search", () => {
      this.viewed.change({ text });
      flushSync();
    });
  }

  /** By this column; by the one that it is already by, the other way around. */
  sortBy(key: SortKey, descendingFirst: boolean): void {
    const { sort } = this.viewed;
    this.viewed.sort = { key, descending: sort.key === key ? !sort.descending : descendingFirst };
  }

  select(row: number | null): void {
    this.viewed.selected = row === null ? null : (this.#fleet?.numbers[row] ?? null);
  }

  open(row: number): void {
    const number = this.#fleet?.numbers[row];
    if (number === undefined) return;
    this.viewed.settle();
    location.hash = linkTo.lamppost(number);
  }

  colourBy(property: string | null): void {
    this.viewed.property = property;
    if (property === null && this.viewed.sort.key === "value") {
      this.viewed.sort = { key: "number", descending: false };
    }
  }

  /**
   * The scale for the values that are fresh now; of these rows only, where they are named (1 for each). It is held until
   * it is asked for again: colours keep their meaning.
   */
  rescale(rows?: Uint8Array): void {
    const { property } = this;
    const [fleet, values] = [this.#fleet, this.#values];
    if (property === null || property === undefined || fleet === null || values === null) this.#scale = null;
    else if (property.statistic === "vector_mean") this.#scale = values.DIRECTIONS;
    else {
      const now_ms = clock.exact();
      const fresh = fleet.value.filter(
        (_, row) => (rows === undefined || rows[row] === 1) && fleet.freshness(row, now_ms) === "fresh",
      );
      this.#scale = values.scaleOf(fresh, Number(property.resolution), values.secondsIn(property.unit));
    }
  }

  async #load(property: Property | null, signal: AbortSignal): Promise<string> {
    const name = property?.name ?? null;
    if (this.#fleet !== null && this.#fleet.property !== name) {
      // Nobody may take the values of one property for those of another.
      this.#fleet.choose(name);
      this.#scale = null;
      this.#changed();
    }
    const [{ fleet, states }] = await Promise.all([
      this.#read(name, signal),
      property === null ? undefined : this.#loadValues(),
    ]);
    // While the code of values loaded, another property may have been chosen.
    signal.throwIfAborted();
    const isNew = fleet !== this.#fleet;
    fleet.load(states, name);
    clock.set(Date.parse(states.time));
    this.#fleet = fleet;
    if (this.#scale === null || isNew) this.rescale();
    this.#changed();
    return states.event_id;
  }

  async #loadValues(): Promise<void> {
    try {
      this.#values = await import("./values");
    } catch (cause) {
      throw new Problem(0, "", String(cause));
    }
  }

  /** The states, and the register that they are of: the one that is held, if it is still the same. */
  async #read(property: string | null, signal: AbortSignal) {
    const query = property === null ? {} : { property };
    const readStates = () => get("/api/v1/city/states", { query, signal });
    const readRegister = () => get("/api/v1/city", { signal });
    let fleet = this.#fleet;
    for (let reading = 0; reading < MOST_READINGS; reading += 1) {
      const [register, states] = await Promise.all([
        fleet === null ? readRegister() : Promise.resolve(null),
        readStates(),
      ]);
      if (register !== null) fleet = new Fleet(register);
      if (fleet !== null && fleet.revision === states.revision) return { fleet, states };
      fleet = null;
    }
    throw new Problem(503, "", "The register does not stay the same for long enough to be read.");
  }

  /** How new the newest data is: the feed tells only of states, and data that comes in time changes none. */
  async #refresh(signal: AbortSignal): Promise<void> {
    const fleet = this.#fleet;
    try {
      const states = await get("/api/v1/city/states", { query: {}, signal });
      if (fleet === null || fleet !== this.#fleet) return;
      if (states.revision !== fleet.revision) {
        this.#reload();
        return;
      }
      // Without the feed the states grow old as well, and the values with them.
      if (this.#following?.catchUp() === true) return;
      fleet.refresh(states.last_observation_ms);
      this.#version += 1;
      if (this.viewed.sort.key === "newest") this.#listSoon();
    } catch (problem) {
      // The feed notices that the server is away, and says so.
      if (!signal.aborted && !(problem instanceof Problem)) throw problem;
    }
  }

  #apply(changes: Changes): void {
    const fleet = this.#fleet;
    if (fleet === null) return;
    measured("lamplighter:changes", () => {
      const { rows, unknown } = fleet.apply(changes);
      this.#watcher?.(rows);
      this.#version += 1;
      const order = this.viewed.sort.key;
      if (changes.states.length > 0 || order === "value" || order === "newest") this.#listSoon();
      if (unknown > 0) this.#reload();
      flushSync();
    });
  }

  /** Everything may be different. */
  #changed(): void {
    this.#version += 1;
    this.#listed += 1;
    this.#watcher?.(null);
  }

  #listSoon(): void {
    if (this.#listing !== undefined) return;
    const pause_ms = Math.max(LIST_MS, this.#listTook_ms / LIST_SHARE);
    this.#listing = setTimeout(() => {
      this.#listing = undefined;
      this.#listed += 1;
      if (this.#scale === null) this.rescale();
    }, pause_ms);
  }

  #reload(): void {
    if (performance.now() - this.#reloaded_ms < RELOAD_MS) return;
    this.#reloaded_ms = performance.now();
    this.#following?.reload();
  }
}
