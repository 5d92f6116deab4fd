// MapLibre with its style sheet and its worker. Everything of it is loaded when the first map is shown.

import workerUrl from "maplibre-gl/dist/maplibre-gl-worker.mjs?worker&url";

export type MapLibre = typeof import("maplibre-gl");

let loading: Promise<MapLibre> | undefined;

/** The library, ready to make maps. A failure to load it, as of the network, is not remembered. */
export function loadMapLibre(): Promise<MapLibre> {
  loading ??= load().catch((cause: unknown) => {
    loading = undefined;
    throw cause;
  });
  return loading;
}

async function load(): Promise<MapLibre> {
  const [maplibre] = await Promise.all([
    import("maplibre-gl"),
    import("maplibre-gl/dist/maplibre-gl.css"),
    import("./controls.css"),
  ]);
  // A bundler moves the worker away from where the library looks for it; and one made from a blob: would need more
  // than `worker-src 'self'`.
  maplibre.setWorkerUrl(workerUrl);
  return maplibre;
}
