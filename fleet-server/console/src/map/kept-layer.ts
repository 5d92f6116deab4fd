// A layer of our own on a map, which takes it only while it has a style. Styles come and go: with another theme, another
// language, and with the graphics card, which a browser may take away and give back at any time. MapLibre brings its own
// layers back by itself, and forgets ours.

import type { CustomLayerInterface } from "maplibre-gl";

/** What is needed of a map. */
export interface Carrier {
  on(event: "style.load" | "webglcontextlost" | "webglcontextrestored", listener: () => void): unknown;
  getLayer(id: string): unknown;
  addLayer(layer: CustomLayerInterface): unknown;
  removeLayer(id: string): unknown;
}

export type ContextEvents = {
  /** Nothing can be drawn any more; the map must not be given a style before it is restored. */
  lost: () => void;
  /** It can be given one again. */
  restored: () => void;
};

export class KeptLayer {
  readonly #map: Carrier;
  readonly #make: () => CustomLayerInterface;
  #layer: CustomLayerInterface | null = null;
  #takesLayers = false;

  /** `make` makes the layer: anew for each style, for what it holds of the graphics card goes with the old one. */
  constructor(map: Carrier, make: () => CustomLayerInterface, events: ContextEvents) {
    this.#map = map;
    this.#make = make;
    map.on("style.load", () => {
      this.#takesLayers = true;
      this.renew();
    });
    map.on("webglcontextlost", () => {
      this.awaitStyle();
      events.lost();
    });
    map.on("webglcontextrestored", () => events.restored());
  }

  /** The style of the map goes, and another one comes: until then no layer can be added. */
  awaitStyle(): void {
    this.#takesLayers = false;
    this.#layer = null;
  }

  /** Puts a layer that is made now in the place of the one that is there; later, if the map takes none. */
  renew(): void {
    if (!this.#takesLayers) return;
    if (this.#layer !== null && this.#map.getLayer(this.#layer.id) !== undefined) {
      this.#map.removeLayer(this.#layer.id);
    }
    this.#layer = this.#make();
    this.#map.addLayer(this.#layer);
  }
}
