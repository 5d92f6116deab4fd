// What is drawn beneath the lampposts: that those of the demonstration stand on land and at their roads, and stand out.

import { readFileSync } from "node:fs";

import { expect, test } from "vitest";

import { basemapStyle, HONG_KONG } from "./basemap";
import { coast, COAST_VERSION } from "./coast";
import { type Palette, PALETTES } from "./palette";
import sampleStreets from "./sample-streets.json";

// The places of the demonstration's lampposts, and the colours of states, where they are declared.
const positions = text("../../../../hil-tests/src/city/positions.rs");
const baseCss = text("../shell/base.css");

type Point = readonly [longitude: number, latitude: number];

const STRETCHES = [
  ...positions.matchAll(/stretch\("([^"]+)", \(([\d.]+), ([\d.]+)\), \(([\d.]+), ([\d.]+)\)/g),
].map(([, road = "", ...numbers]) => {
  const [fromLatitude = 0, fromLongitude = 0, toLatitude = 0, toLongitude = 0] = numbers.map(Number);
  return { road, points: between([fromLongitude, fromLatitude], [toLongitude, toLatitude]) };
});

test("the coast has Hong Kong's lands and waters in their places", () => {
  expect(COAST_VERSION).toBe("2.3.7");
  const land: Record<string, Point> = {
    "Victoria Peak": [114.1455, 22.2759],
    "Lion Rock": [114.187, 22.352],
    "Tai Mo Shan": [114.1243, 22.4107],
    "Lantau Peak": [113.9203, 22.2496],
    "Lamma's Mount Stenhouse": [114.129, 22.191],
    Guangzhou: [113.264, 23.129],
  };
  const water: Record<string, Point> = {
    "Victoria Harbour": [114.165, 22.289],
    "Tolo Harbour": [114.22, 22.44],
    "East Lamma Channel": [114.15, 22.225],
    "the South China Sea": [114.6, 21.9],
  };
  for (const [name, point] of Object.entries(land)) expect(onCoast(point), name).toBe(true);
  for (const [name, point] of Object.entries(water)) expect(onCoast(point), name).toBe(false);
});

test("no lamppost of the demonstration stands in the sea", () => {
  expect(STRETCHES).toHaveLength(10);
  const lands = sample("land").map(({ geometry }) => geometry.coordinates as Point[][]);
  const onSample = (point: Point) => lands.some((rings) => inRings(point, rings));
  for (const { road, points } of STRETCHES) {
    for (const point of points) expect(onCoast(point) || onSample(point), `${road} at ${point}`).toBe(true);
  }
});

test("every lamppost of the demonstration stands at the road that it lights", () => {
  for (const { road, points } of STRETCHES) {
    const drawn = sample("road").find(({ properties }) => properties.en === road);
    const line = (drawn?.geometry.coordinates ?? []) as Point[];
    for (const point of points) expect(metresFrom(point, line), `${road} at ${point}`).toBeLessThan(2);
  }
});

test.each(["light", "dark"] as const)("states and names stand out from the %s map", (theme) => {
  const block = theme === "light" ? /:root \{[^}]*\}/ : /:root\[data-theme="dark"\] \{[^}]*\}/;
  const tokens = block.exec(baseCss)?.[0] ?? "";
  const palette = PALETTES[theme];
  for (const state of ["reporting", "late", "offline", "never"]) {
    const color = new RegExp(`--${state}: (#[0-9a-f]{6});`).exec(tokens)?.[1] ?? "";
    for (const ground of ["beyond", "sea", "land", "road", "casing"] as const) {
      expect(contrast(color, palette[ground]), `${state} on ${ground}`).toBeGreaterThanOrEqual(3);
    }
  }
  const names: [keyof Palette, keyof Palette][] = [
    ["name", "land"],
    ["name", "road"],
    ["area", "land"],
    ["seaName", "sea"],
  ];
  for (const [name, ground] of names) {
    expect(contrast(palette[name], palette[ground]), `${name} on ${ground}`).toBeGreaterThanOrEqual(4.5);
  }
});

test.each(["en", "zh-Hant"] as const)(
  "the coast asks nothing of any host, and says in %s what it is",
  async (language) => {
    const style = await basemapStyle({ theme: "light", language, source: { kind: "coast" } });
    expect(JSON.stringify(style)).not.toMatch(/https?:|"glyphs"|"sprite"/);
    const attributions = Object.values(style.sources).map((source) =>
      "attribution" in source ? source.attribution : "",
    );
    const said = attributions.join(" ");
    expect(said).toContain("GSHHG 2.3.7");
    expect(said).toMatch(language === "en" ? /sample, not survey data/ : /示例，並非測量資料/);
    const used = new Set(style.layers.map((layer) => ("source" in layer ? layer.source : undefined)));
    for (const source of Object.keys(style.sources)) expect(used, source).toContain(source);
  },
);

test("the first view is where the coast has every bend", () => {
  const [west, south, east, north] = HONG_KONG;
  expect([west > 113.75, south > 22.1, east < 114.5, north < 22.6]).toEqual([true, true, true, true]);
});

type SampleFeature = { properties: { kind: string; en?: string }; geometry: { coordinates: unknown } };

function sample(kind: string): SampleFeature[] {
  return (sampleStreets.features as SampleFeature[]).filter(({ properties }) => properties.kind === kind);
}

function text(path: string): string {
  return readFileSync(new URL(path, import.meta.url), "utf8");
}

function between(from: Point, to: Point): Point[] {
  return Array.from({ length: 41 }, (_, at) => [
    from[0] + ((to[0] - from[0]) * at) / 40,
    from[1] + ((to[1] - from[1]) * at) / 40,
  ]);
}

const COAST = coast().coordinates as unknown as Point[][][];

function onCoast(point: Point): boolean {
  return COAST.some((rings) => inRings(point, rings));
}

/** Even-odd: also right for holes. */
function inRings([x, y]: Point, rings: Point[][]): boolean {
  let inside = false;
  for (const ring of rings) {
    for (const [[fromX, fromY], [toX, toY]] of segments(ring)) {
      if (fromY > y !== toY > y && x < fromX + ((toX - fromX) * (y - fromY)) / (toY - fromY))
        inside = !inside;
    }
  }
  return inside;
}

function metresFrom([x, y]: Point, line: Point[]): number {
  const metres = 111_195;
  const narrowing = Math.cos((y * Math.PI) / 180);
  const distances = segments(line).map(([[fromX, fromY], [toX, toY]]) => {
    const [alongX, alongY] = [(toX - fromX) * narrowing, toY - fromY];
    const [offX, offY] = [(x - fromX) * narrowing, y - fromY];
    const part = (offX * alongX + offY * alongY) / (alongX ** 2 + alongY ** 2);
    const at = Math.min(1, Math.max(0, part));
    return Math.hypot(offX - alongX * at, offY - alongY * at) * metres;
  });
  return Math.min(Infinity, ...distances);
}

function segments(line: Point[]): [Point, Point][] {
  return line.slice(1).map((to, at) => [line[at] as Point, to]);
}

/** WCAG 2.2, "contrast ratio". */
function contrast(one: string, other: string): number {
  const [lighter, darker] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(color: string): number {
  const channel = (at: number) => {
    const part = Number.parseInt(color.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
}
