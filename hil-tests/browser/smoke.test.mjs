// The stage itself, before the console is played on it: the start page, and everything that a scene can do to the fleet.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { axe, scene, shot, tell } from "./stage.mjs";

scene("the start page loads and says nothing on its console", async ({ page }) => {
  assert.match(await page.title(), /Lamplighter/);
  await axe(page);
  await shot(page, "start");
});

scene(
  "a server that is killed answers nobody, and its next start has another token",
  { timeout: 120_000 },
  async ({ page, login }) => {
    // What a page says of this is not looked at here.
    await page.goto("about:blank");
    const link = await tell("link");
    assert.equal(await tell("kill server"), null);
    await assert.rejects(page.request.get("/api/v1/lampposts"), /ECONNREFUSED/);
    assert.notEqual(await tell("start server"), link);
    assert.equal((await page.request.get("/api/v1/lampposts")).status(), 401);
    await login();
    assert.equal((await page.request.get("/api/v1/lampposts")).status(), 200);
  },
);

scene("what cannot be done is refused by name", async () => {
  await assert.rejects(tell("kill KB0004"), /KB0004 has no process of its own/);
  await assert.rejects(tell("break KB0099 chip absent"), /"KB0099" is not the number of a lamppost/);
  await assert.rejects(tell("set KB0008 air_temperature 900"), /air_temperature is a number from -40 to 85/);
  await assert.rejects(tell("dance"), /no such action: "dance"/);
});

scene("whatever a page should not do is noted", async ({ page, complaints, allow }) => {
  assert.deepEqual(complaints(), []);
  // A page that may do all this: the server's own ones are forbidden to.
  const misbehaved = "<!doctype html><title>Misbehaved</title>";
  await page.route("/misbehaved", (route) => route.fulfill({ contentType: "text/html", body: misbehaved }));
  await page.goto("/misbehaved");
  await page.evaluate(async () => {
    console.info("chatter");
    setTimeout(() => {
      throw new Error("thrown");
    });
    await fetch("/nowhere");
    await fetch("http://elsewhere.invalid/").catch(() => {});
    const leave = new AbortController();
    const left = fetch("/live", { signal: leave.signal });
    leave.abort();
    await left.catch(() => {});
  });
  for (const noted of [
    /^console\.info: chatter/,
    /^error: Error: thrown/,
    /^console\.error: .* 404 /,
    /^request to another host: GET http:\/\/elsewhere\.invalid\//,
    /^request failed: GET http:\/\/elsewhere\.invalid\/: net::ERR_NAME_NOT_RESOLVED/,
  ]) {
    assert.ok(
      complaints().some((complaint) => noted.test(complaint)),
      `${noted} in ${complaints().join("\n")}`,
    );
  }
  assert.ok(
    !complaints().some((complaint) => complaint.includes("/live")),
    "what the page gives up is not lost",
  );
  allow(/./);
});

scene("what shuts people out is found by its rule", async ({ page }) => {
  await page.evaluate(() => document.body.append(document.createElement("button")));
  await assert.rejects(axe(page), /critical: button-name/);
});

scene("maps can be drawn here, and a picture of them is not empty", async ({ page }) => {
  const pixel = await page.evaluate(() => {
    const canvas = document.createElement("canvas");
    const gl = canvas.getContext("webgl2");
    gl.clearColor(1, 0.5, 0, 1);
    gl.clear(gl.COLOR_BUFFER_BIT);
    document.body.prepend(canvas);
    const pixel = new Uint8Array(4);
    gl.readPixels(1, 1, 1, 1, gl.RGBA, gl.UNSIGNED_BYTE, pixel);
    return [...pixel];
  });
  assert.deepEqual(pixel, [255, 128, 0, 255]);
  await shot(page, "canvas");
  assert.ok((await readFile(new URL("../../target/screenshots/canvas.png", import.meta.url))).length > 1_000);
});
