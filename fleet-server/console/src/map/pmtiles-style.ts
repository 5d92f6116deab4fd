// The city's own basemap: a PMTiles file with the layers of Protomaps' basemaps, read piece by piece from the server.

import type { LayerSpecification, StyleSpecification } from "maplibre-gl";
import { layers, namedFlavor, type Flavor } from "@protomaps/basemaps";
import { FetchSource, PMTiles, Protocol, TileType } from "pmtiles";

import type { Language } from "../messages/index.svelte";
import type { Theme } from "../shell/theme.svelte";
import { loadMapLibre } from "./maplibre";
import { PALETTES } from "./palette";

/** Icons and what makes no sense without them: they are in a sprite, which is on a host of Protomaps. */
const LAYERS_OF_ICONS = new Set(["pois", "roads_shields", "roads_oneway"]);

const SOURCE = "basemap";

let registering: Promise<Protocol> | undefined;

/** Rejects if the file cannot be read or holds no vector tiles. */
export async function pmtilesStyle(
  theme: Theme,
  language: Language,
  url: string,
  attribution: string | null,
): Promise<StyleSpecification> {
  const protocol = await register();
  const address = new URL(url, location.href).href;
  const archive = protocol.get(address) ?? new PMTiles(pastTheCache(address));
  const header = await archive.getHeader();
  if (header.tileType !== TileType.Mvt && header.tileType !== TileType.Mlt) {
    throw new Error(`${url} holds no vector tiles`);
  }
  // Only what could be read is kept: after a mended file, a new try starts anew.
  protocol.add(archive);
  return {
    version: 8,
    sources: {
      [SOURCE]: {
        type: "vector",
        tiles: [`pmtiles://${address}/{z}/{x}/{y}`],
        ...(header.tileType === TileType.Mlt ? { encoding: "mlt" as const } : {}),
        minzoom: header.minZoom,
        maxzoom: header.maxZoom,
        bounds: [header.minLon, header.minLat, header.maxLon, header.maxLat],
        attribution: attribution ?? (await ownAttribution(archive)),
      },
    },
    layers: withoutIcons(layers(SOURCE, flavor(theme), { lang: language })),
  };
}

/**
 * The file, never out of the browser's cache: where the same piece is wanted several times at once (all of a sea is one
 * piece), Chromium gives some of them an empty one, with status 206 and without an error (156, seen on a busy machine).
 */
function pastTheCache(address: string): FetchSource {
  const source = new FetchSource(address);
  // The library's own name for this, which it sets for Chromium on Windows.
  source.chromeWindowsNoCache = true;
  return source;
}

/** Protomaps' own, with our land, sea and roads, and with names that are easy to read: theirs are fainter than WCAG asks. */
function flavor(theme: Theme): Flavor {
  const palette = PALETTES[theme];
  const own = namedFlavor(theme);
  const roads = Object.keys(own).flatMap((part): [string, string][] => {
    if (!/^(bridges_|tunnel_)?(other|minor|link|major|highway)/.test(part)) return [];
    return [[part, part.includes("casing") ? palette.casing : palette.road]];
  });
  return {
    ...own,
    ...Object.fromEntries(roads),
    background: palette.beyond,
    earth: palette.land,
    water: palette.sea,
    ocean_label: palette.seaName,
    roads_label_minor: palette.name,
    roads_label_minor_halo: palette.land,
    roads_label_major: palette.name,
    roads_label_major_halo: palette.land,
    subplace_label: palette.name,
    subplace_label_halo: palette.land,
    city_label: palette.name,
    city_label_halo: palette.land,
    state_label: palette.area,
    state_label_halo: palette.land,
    country_label: palette.area,
    address_label: palette.name,
    address_label_halo: palette.land,
  };
}

/** A protocol of MapLibre's is there once for all maps. */
function register(): Promise<Protocol> {
  registering ??= loadMapLibre()
    .then((maplibre) => {
      const protocol = new Protocol();
      maplibre.addProtocol("pmtiles", protocol.tile);
      return protocol;
    })
    .catch((cause: unknown) => {
      registering = undefined;
      throw cause;
    });
  return registering;
}

async function ownAttribution(archive: PMTiles): Promise<string> {
  const metadata: unknown = await archive.getMetadata();
  const named = typeof metadata === "object" && metadata !== null && "attribution" in metadata;
  return named && typeof metadata.attribution === "string" ? metadata.attribution : "";
}

function withoutIcons(all: LayerSpecification[]): LayerSpecification[] {
  return all
    .filter((layer) => !LAYERS_OF_ICONS.has(layer.id))
    .map((layer) => {
      if (layer.type !== "symbol" || layer.layout === undefined) return layer;
      const ofText = Object.entries(layer.layout).filter(([name]) => !name.startsWith("icon-"));
      return { ...layer, layout: Object.fromEntries(ofText) };
    });
}
