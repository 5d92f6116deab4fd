import type { CustomLayerInterface } from "maplibre-gl";
import { expect, test } from "vitest";

import { type Carrier, KeptLayer } from "./kept-layer";

test("with every style the layer is there again, made anew", () => {
  const { map, made, kept } = rig();
  expect(map.layers).toEqual([]);
  map.styled();
  expect(map.layers).toEqual([made[0]]);
  kept.awaitStyle();
  map.styled();
  expect(map.layers).toEqual([made[1]]);
});

test("a layer that is renewed takes the place of the one before", () => {
  const { map, made, kept } = rig();
  map.styled();
  kept.renew();
  expect(map.layers).toEqual([made[1]]);
});

test("after the graphics card was lost and is back, the layer is made anew", () => {
  const { map, made, heard } = rig();
  map.styled();
  map.lose();
  expect(heard).toEqual(["lost"]);
  map.restore();
  expect(heard).toEqual(["lost", "restored"]);
  expect(map.layers, "not before there is a style").toEqual([]);
  map.styled();
  expect(map.layers).toEqual([made[1]]);
});

test("what changes while there is no graphics card, or no style, breaks nothing and is there afterwards", () => {
  const { map, made, kept } = rig();
  kept.renew();
  map.styled();
  map.lose();
  kept.renew();
  map.restore();
  kept.renew();
  map.styled();
  expect(map.layers).toEqual([made[1]]);
});

function rig() {
  const map = new FakeMap();
  const made: CustomLayerInterface[] = [];
  const heard: string[] = [];
  const make = (): CustomLayerInterface => {
    const layer: CustomLayerInterface = { id: "lampposts", type: "custom", render: () => undefined };
    made.push(layer);
    return layer;
  };
  const kept = new KeptLayer(map, make, {
    lost: () => heard.push("lost"),
    restored: () => heard.push("restored"),
  });
  return { map, made, heard, kept };
}

/** Takes and forgets layers as MapLibre does: only with a style, which a lost graphics card takes with it. */
class FakeMap implements Carrier {
  layers: CustomLayerInterface[] = [];
  #hasStyle = false;
  readonly #listeners = new Map<string, () => void>();

  on(event: string, listener: () => void): void {
    this.#listeners.set(event, listener);
  }

  styled(): void {
    this.layers = [];
    this.#hasStyle = true;
    this.#listeners.get("style.load")?.();
  }

  lose(): void {
    this.layers = [];
    this.#hasStyle = false;
    this.#listeners.get("webglcontextlost")?.();
  }

  restore(): void {
    this.#listeners.get("webglcontextrestored")?.();
  }

  getLayer(id: string): unknown {
    return this.layers.find((layer) => layer.id === id);
  }

  addLayer(layer: CustomLayerInterface): void {
    if (!this.#hasStyle) throw new Error("Style is not done loading.");
    if (this.getLayer(layer.id) !== undefined) throw new Error(`Layer "${layer.id}" already exists`);
    this.layers.push(layer);
  }

  removeLayer(id: string): void {
    if (!this.#hasStyle) throw new Error("Style is not done loading.");
    this.layers = this.layers.filter((layer) => layer.id !== id);
  }
}
