// What of the page is in the address, after the `?`: so that a view can be sent to somebody, and is there again on the
// way back. What is as it always is stays out.

import { QUALITY_NAMES, STATUS_NAMES } from "./fleet";
import { type Filter, type Sort, SORT_KEYS } from "./listing";

export const VIEWS = ["both", "map", "table"] as const;
export type View = (typeof VIEWS)[number];

export interface Viewed {
  filter: Filter;
  sort: Sort;
  /** Null: as it suits the width of the screen. */
  view: View | null;
  /** By which property lampposts are coloured; null: by status. */
  property: string | null;
  /** Number of the lamppost that is selected. */
  selected: string | null;
}

/** What the address says; what it says wrongly is as if it said nothing. */
export function viewedOf(query: URLSearchParams): Viewed {
  const statuses = (query.get("status") ?? "").split(",").map((name) => indexIn(STATUS_NAMES, name));
  const quality = query.get("quality");
  return {
    filter: {
      text: query.get("q") ?? "",
      statuses: new Set(statuses.filter((code) => code !== null)),
      quality: quality === null ? null : indexIn(QUALITY_NAMES, quality === "none" ? null : quality),
      road: query.get("road"),
      district: query.get("district"),
    },
    sort: sortOf(query.get("sort") ?? ""),
    view: VIEWS.find((view) => view === query.get("view")) ?? null,
    property: query.get("by"),
    selected: query.get("select"),
  };
}

/** For `here.replaceQuery`: null where nothing needs to be said. */
export function queryOf({ filter, sort, view, property, selected }: Viewed): Record<string, string | null> {
  const statuses = STATUS_NAMES.filter((_, code) => filter.statuses.has(code));
  return {
    q: filter.text === "" ? null : filter.text,
    status: statuses.length === 0 ? null : statuses.join(","),
    quality: filter.quality === null ? null : (QUALITY_NAMES[filter.quality] ?? "none"),
    road: filter.road,
    district: filter.district,
    by: property,
    sort: sort.key === "number" && !sort.descending ? null : `${sort.descending ? "-" : ""}${sort.key}`,
    view,
    select: selected,
  };
}

function sortOf(text: string): Sort {
  const descending = text.startsWith("-");
  const key = SORT_KEYS.find((one) => one === text.slice(descending ? 1 : 0));
  return key === undefined ? { key: "number", descending: false } : { key, descending };
}

function indexIn(names: readonly (string | null)[], name: string | null): number | null {
  const place = names.indexOf(name);
  return place === -1 ? null : place;
}
