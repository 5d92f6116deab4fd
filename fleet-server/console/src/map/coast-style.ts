// The basemap that is always there: land, sea, a few names, and the sample of streets that the demonstration lights.

import type { FeatureCollection } from "geojson";
import type { LayerSpecification, StyleSpecification, SymbolLayerSpecification } from "maplibre-gl";

import type { Language } from "../messages/index.svelte";
import type { Theme } from "../shell/theme.svelte";
import { coast, COAST_RELEASED, COAST_VERSION, sheet } from "./coast";
import { PALETTES, type Palette } from "./palette";
import { places } from "./places";
import sampleStreets from "./sample-streets.json";

const ATTRIBUTION: Record<Language, { coast: string; streets: string }> = {
  en: {
    coast: `Coast: GSHHG ${COAST_VERSION} (${COAST_RELEASED}), older than the reclamations of the 1990s`,
    streets: "Streets of Kowloon Bay: hand-drawn sample, not survey data",
  },
  "zh-Hant": {
    coast: `海岸線：GSHHG ${COAST_VERSION}（${COAST_RELEASED}），早於1990年代的填海工程`,
    streets: "九龍灣街道：手繪示例，並非測量資料",
  },
};

const FONT = ["system-ui", "sans-serif"];

export function coastStyle(theme: Theme, language: Language): StyleSpecification {
  const palette = PALETTES[theme];
  const attribution = ATTRIBUTION[language];
  return {
    version: 8,
    sources: {
      sheet: { type: "geojson", data: { type: "Feature", properties: {}, geometry: sheet() } },
      coast: {
        type: "geojson",
        data: { type: "Feature", properties: {}, geometry: coast() },
        attribution: attribution.coast,
      },
      "sample-streets": {
        type: "geojson",
        data: sampleStreets as unknown as FeatureCollection,
        attribution: attribution.streets,
      },
      places: { type: "geojson", data: places() },
    },
    layers: [...landLayers(palette), ...roadLayers(palette), ...nameLayers(palette, language)],
  };
}

function landLayers(palette: Palette): LayerSpecification[] {
  const shore = { "line-color": palette.shore, "line-width": 1 };
  return [
    { id: "beyond", type: "background", paint: { "background-color": palette.beyond } },
    { id: "sea", type: "fill", source: "sheet", paint: { "fill-color": palette.sea } },
    { id: "land", type: "fill", source: "coast", paint: { "fill-color": palette.land } },
    { id: "shore", type: "line", source: "coast", paint: shore },
    // Over the old shore that it has swallowed.
    {
      id: "sample-land",
      type: "fill",
      source: "sample-streets",
      filter: ["==", ["get", "kind"], "land"],
      paint: { "fill-color": palette.land },
    },
    {
      id: "sample-shore",
      type: "line",
      source: "sample-streets",
      filter: ["==", ["get", "kind"], "shore"],
      paint: shore,
    },
  ];
}

function roadLayers(palette: Palette): LayerSpecification[] {
  const road = (id: string, color: string, casing: number): LayerSpecification => ({
    id,
    type: "line",
    source: "sample-streets",
    minzoom: 11,
    filter: ["==", ["get", "kind"], "road"],
    layout: { "line-cap": "round", "line-join": "round" },
    paint: {
      "line-color": color,
      "line-width": [
        "interpolate",
        ["exponential", 1.7],
        ["zoom"],
        11,
        ["match", ["get", "class"], "main", 0.8 + casing, 0.3 + casing],
        15,
        ["match", ["get", "class"], "main", 6 + casing, 4 + casing],
        19,
        ["match", ["get", "class"], "main", 42 + casing, 30 + casing],
      ],
    },
  });
  return [road("sample-road-casing", palette.casing, 1.5), road("sample-road", palette.road, 0)];
}

function nameLayers(palette: Palette, language: Language): LayerSpecification[] {
  const halo = { "text-halo-color": palette.land, "text-halo-width": 1.5 };
  const placed = (
    id: string,
    kind: string,
  ): Pick<SymbolLayerSpecification, "id" | "type" | "source" | "filter"> => ({
    id,
    type: "symbol",
    source: "places",
    filter: ["==", ["get", "kind"], kind],
  });
  const layout: SymbolLayerSpecification["layout"] = {
    "text-field": ["get", language],
    "text-font": FONT,
    "text-padding": 6,
    "symbol-sort-key": ["get", "rank"],
  };
  return [
    {
      id: "sample-road-name",
      type: "symbol",
      source: "sample-streets",
      minzoom: 13,
      filter: ["==", ["get", "kind"], "road"],
      layout: {
        "text-field": ["get", language],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 13, 10, 17, 15],
        "symbol-placement": "line",
        "symbol-spacing": 320,
        "text-max-angle": 32,
        // Beside the road: on it are lampposts.
        "text-offset": [
          "interpolate",
          ["linear"],
          ["zoom"],
          13,
          ["literal", [0, 0.8]],
          17,
          ["literal", [0, 1.4]],
        ],
        "text-padding": 4,
      },
      paint: { "text-color": palette.name, ...halo },
    },
    {
      ...placed("sea-name", "sea"),
      minzoom: 8,
      layout: { ...layout, "text-size": 12, "text-letter-spacing": 0.1, "text-max-width": 7 },
      paint: { "text-color": palette.seaName, "text-halo-color": palette.sea, "text-halo-width": 1 },
    },
    {
      ...placed("harbour-name", "harbour"),
      minzoom: 11,
      layout: { ...layout, "text-size": 12, "text-letter-spacing": 0.1, "text-max-width": 7 },
      paint: { "text-color": palette.seaName, "text-halo-color": palette.sea, "text-halo-width": 1 },
    },
    {
      ...placed("town-name", "town"),
      minzoom: 10.5,
      maxzoom: 14,
      layout: { ...layout, "text-size": ["interpolate", ["linear"], ["zoom"], 10, 11, 14, 14] },
      paint: { "text-color": palette.name, ...halo },
    },
    {
      ...placed("region-name", "region"),
      minzoom: 7,
      maxzoom: 12,
      layout: {
        ...layout,
        "text-size": ["interpolate", ["linear"], ["zoom"], 8, 12, 12, 17],
        "text-letter-spacing": 0.08,
        "text-max-width": 7,
      },
      paint: { "text-color": palette.area, ...halo },
    },
  ];
}
