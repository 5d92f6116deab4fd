// What the map shows beneath the lampposts: the city's own basemap if the server has one, else land and sea.
//
// No request leaves the server: there are no glyph and no sprite URLs. Without a glyph URL MapLibre draws labels with
// the fonts of the machine that the browser runs on.

import type { StyleSpecification } from "maplibre-gl";

import type { Language } from "../messages/index.svelte";
import type { Theme } from "../shell/theme.svelte";

export type BasemapSource =
  | { kind: "coast" }
  /** `url` may be relative to the page; `attribution`, if null, is the one that the file itself names. */
  | { kind: "pmtiles"; url: string; attribution: string | null };

export interface BasemapOptions {
  theme: Theme;
  language: Language;
  source: BasemapSource;
}

/** West, south, east, north of Hong Kong: where a map without lampposts looks, and of what the coast has every bend. */
export const HONG_KONG: [number, number, number, number] = [113.81, 22.13, 114.45, 22.58];

/**
 * The style of the basemap, to which the caller adds its own sources and layers. Only the kind that is asked for is
 * loaded.
 *
 * Rejects if the city's file cannot be read or holds no vector tiles. The coast is there without the network.
 */
export async function basemapStyle(options: BasemapOptions): Promise<StyleSpecification> {
  const { theme, language, source } = options;
  if (source.kind === "coast") {
    const { coastStyle } = await import("./coast-style");
    return coastStyle(theme, language);
  }
  const { pmtilesStyle } = await import("./pmtiles-style");
  return pmtilesStyle(theme, language, source.url, source.attribution);
}
