import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: "es2022",
    // Every asset is a file of its own: the content security policy allows no data: scripts or styles.
    assetsInlineLimit: 0,
    // The map's library alone is larger than the default; what a page may weigh is measured by `xtask bench console`.
    chunkSizeWarningLimit: 1200,
    modulePreload: { polyfill: false },
    // The licences of what is bundled, which their authors ask to be handed on.
    license: { fileName: "licences.md" },
    rolldownOptions: {
      output: {
        // What several pages share is one file: many small ones cost headers, and compress badly.
        codeSplitting: {
          groups: [
            { name: "shell", test: /src\/((api|live|marks|shell)\/|format\/(ages|counts|late))/ },
            { name: "shell", test: /node_modules\/svelte\//, minShareCount: 2 },
            // What is written only where values or times are: the list of lampposts has neither.
            { name: "format", test: /src\/format\// },
            // The table of the city, and what its map shares with it.
            {
              name: "city",
              test: /src\/city\/(City\.|Controls|Row|Table|catalogue|city\.|cursor|fleet|listing|measured|query|row-height|viewed)/,
            },
          ],
        },
      },
    },
  },
  worker: { format: "es" },
  server: {
    // `npm run dev` beside a running server: open the link that it printed once, then this server's address.
    proxy: Object.fromEntries(
      ["/api", "/live", "/login", "/basemap.pmtiles", "/problems"].map((path) => [
        path,
        "http://127.0.0.1:8080",
      ]),
    ),
  },
  test: { include: ["src/**/*.test.ts"] },
});
