// What of the city is looked at: filter, order, colours, selection. It is mirrored in the address, with a delay: a browser
// refuses an address that is replaced with every key.

import { untrack } from "svelte";

import { here } from "../shell/route.svelte";
import { type Filter, NO_FILTER, type Sort } from "./listing";
import { queryOf, type View, type Viewed, viewedOf } from "./query";

const SETTLED_MS = 300;

const asText = (query: Record<string, string | null>): string => JSON.stringify(query);

export class ViewedState {
  filter: Filter = $state.raw(NO_FILTER);
  sort: Sort = $state.raw({ key: "number", descending: false });
  view: View | null = $state(null);
  property: string | null = $state(null);
  selected: string | null = $state(null);
  /** What of it the address has, as far as we know. */
  #inAddress = "";
  #writing: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    this.#adopt(viewedOf(here.query));
  }

  get #viewed(): Viewed {
    const { filter, sort, view, property, selected } = this;
    return { filter, sort, view, property, selected };
  }

  get isFiltered(): boolean {
    const { text, statuses, quality, road, district } = this.filter;
    return text !== "" || statuses.size > 0 || quality !== null || road !== null || district !== null;
  }

  change(filter: Partial<Filter>): void {
    this.filter = { ...this.filter, ...filter };
  }

  toggleStatus(code: number): void {
    const statuses = new Set(this.filter.statuses);
    if (!statuses.delete(code)) statuses.add(code);
    this.change({ statuses });
  }

  reset(): void {
    this.filter = NO_FILTER;
  }

  /** Keeps this and the address the same; to be called while a component is set up. */
  mirror(): void {
    $effect(() => {
      const told = viewedOf(here.query);
      untrack(() => {
        if (asText(queryOf(told)) !== this.#inAddress) this.#adopt(told);
      });
    });
    $effect(() => {
      if (asText(queryOf(this.#viewed)) === this.#inAddress) return;
      this.#writing = setTimeout(() => this.settle(), SETTLED_MS);
      return () => clearTimeout(this.#writing);
    });
    $effect(() => {
      // The click may be on a link that leaves the page.
      const settle = (): void => this.settle();
      addEventListener("click", settle, { capture: true });
      return () => removeEventListener("click", settle, { capture: true });
    });
  }

  /** The address is told now what it does not have yet: before the page is left, for who comes back to it. */
  settle(): void {
    clearTimeout(this.#writing);
    const query = queryOf(this.#viewed);
    const text = asText(query);
    if (text === this.#inAddress) return;
    this.#inAddress = text;
    here.replaceQuery(query);
  }

  #adopt(told: Viewed): void {
    this.#inAddress = asText(queryOf(told));
    Object.assign(this, told);
  }
}
