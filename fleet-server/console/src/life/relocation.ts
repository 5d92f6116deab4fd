// A move as somebody fills it in, and what of it the server is told.

import type { Schemas } from "../api/client";

type Site = Pick<
  Schemas["LamppostDocument"],
  "latitude_deg" | "longitude_deg" | "road" | "district" | "feeder" | "pillar"
>;

/** As it stands in the fields; `since` is that of a field of date and time. */
export type Filled = Record<
  "latitude" | "longitude" | "road" | "district" | "feeder" | "pillar" | "since",
  string
>;

/** What the server is told; undefined is not told. */
export type Relocation = {
  latitude_deg: number | undefined;
  longitude_deg: number | undefined;
} & Record<"road" | "district" | "feeder" | "pillar" | "since", string | undefined>;

/** As it stands now: nothing is typed that stays. */
export function filledFrom(site: Site): Filled {
  return {
    latitude: String(site.latitude_deg),
    longitude: String(site.longitude_deg),
    road: site.road,
    district: site.district,
    feeder: site.feeder ?? "",
    pillar: site.pillar ?? "",
    since: "",
  };
}

/**
 * What is different from where it stood when the form was opened; what stays is not named, for another operator may have
 * changed it since. `since_ms` is what the field of that name means.
 */
export function relocationOf(before: Filled, after: Filled, since_ms: number | null): Relocation {
  const changed = (key: keyof Filled): string | undefined => {
    const text = after[key].trim();
    return text === before[key] ? undefined : text;
  };
  const isElsewhere = changed("latitude") !== undefined || changed("longitude") !== undefined;
  return {
    latitude_deg: isElsewhere ? Number(after.latitude) : undefined,
    longitude_deg: isElsewhere ? Number(after.longitude) : undefined,
    road: changed("road"),
    district: changed("district"),
    feeder: changed("feeder"),
    pillar: changed("pillar"),
    since: since_ms === null ? undefined : new Date(since_ms).toISOString(),
  };
}
