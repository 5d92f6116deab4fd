// The place where a city puts its own basemap, a PMTiles file.

import assert from "node:assert/strict";

import { scene, shot, tell, until } from "./stage.mjs";

/** `land` and `sea` of the console's light palette. */
const LAND = [0xf3, 0xf2, 0xed];
const SEA = [0xd6, 0xe4, 0xec];

scene(
  "a city's own map lies under the lampposts, and comes from this server alone, piece by piece",
  { timeout: 90_000 },
  async ({ page, context, login }) => {
    // What becomes of the first page while the server is changed under it is looked at elsewhere.
    await page.goto("about:blank");
    await tell("map server");
    const asked = [];
    context.on("response", (response) => {
      if (new URL(response.url()).pathname === "/basemap.pmtiles") asked.push(response);
    });
    await login();
    await page.goto("/#/?view=map");
    await page.getByRole("region", { name: "Map of the lampposts" }).waitFor();
    await page.getByText("Test city", { exact: true }).waitFor();
    assert.equal(await page.getByText("GSHHG").count(), 0, "the coast is not there as well");
    // Until it is drawn, the map is empty: what is seen is what counts.
    await until("land and sea", async () => {
      const picture = await page.screenshot({ animations: "disabled" });
      return (await share(context, picture, LAND)) > 0.05 && (await share(context, picture, SEA)) > 0.02;
    });
    await shot(page, "basemap");
    assert.equal(await page.getByText("could not be read").count(), 0, "every part of it has come");

    assert.ok(asked.length >= 2, `${asked.length} pieces of the file were asked for`);
    const file = Number((await page.request.head("/basemap.pmtiles")).headers()["content-length"]);
    for (const response of asked) {
      const [headers, origin] = [await response.request().allHeaders(), new URL(response.url()).origin];
      assert.match(headers["range"] ?? "", /^bytes=\d+-\d+$/);
      assert.equal(headers["cache-control"], "no-cache", "no piece out of the browser's cache");
      assert.equal(response.status(), 206);
      assert.equal(origin, new URL(page.url()).origin);
      assert.ok(Number(response.headers()["content-length"]) <= file);
    }
  },
);

/** What part of a picture has this colour. */
async function share(context, png, colour) {
  const page = await context.newPage();
  try {
    return await page.evaluate(
      async ([base64, colour]) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const bitmap = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
        const drawing = canvas.getContext("2d");
        drawing.drawImage(bitmap, 0, 0);
        const { data } = drawing.getImageData(0, 0, bitmap.width, bitmap.height);
        let many = 0;
        for (let at = 0; at < data.length; at += 4) {
          const off = colour.reduce((sum, part, index) => sum + Math.abs(part - data[at + index]), 0);
          if (off <= 6) many += 1;
        }
        return many / (bitmap.width * bitmap.height);
      },
      [png.toString("base64"), colour],
    );
  } finally {
    await page.close();
  }
}
