// What the City page does while lampposts, the server and the way to it come and go.

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";

import { axe, scene, shot, tell, until } from "./stage.mjs";
import { cellSays, city, drawn, isDrawn, loads, middleOf, numbers, placeOf, says, WIDE } from "./city.mjs";

/** Late after three of its shortest periods, two seconds each, and a look at it now and then. */
const LATE_MS = 20_000;

scene(
  "a lamppost goes late, goes offline and recovers, before one's eyes",
  { ...WIDE, timeout: 120_000 },
  async ({ page }) => {
    const { card, row, rows, status, summary } = city(page);
    const loaded = loads(page);
    await status("Reporting", 50).waitFor();
    const place = await placeOf(page, "--reporting", "KB0003");
    await page.mouse.click(place.x, place.y);
    await says(card, /KB0003\s*Reporting/);
    assert.equal(await row("KB0003").getAttribute("aria-selected"), "true");

    await tell("freeze KB0003");
    await cellSays(page, "KB0003", "Status", /^Late$/, LATE_MS);
    await says(card, /KB0003\s*Late/);
    await status("Late", 1).waitFor();
    await status("Reporting", 49).waitFor();
    await until("its symbol to be that of a late one", () => isDrawn(page, "--late", place));
    await cellSays(page, "KB0003", "Newest data", /^\d+ s ago$/);
    await axe(page);
    await shot(page, "city-late");
    await tell("thaw KB0003");
    await cellSays(page, "KB0003", "Status", /^Reporting$/, LATE_MS);
    await status("Late", 0).waitFor();

    await tell("kill KB0003");
    await cellSays(page, "KB0003", "Status", /^Offline$/);
    await says(card, /KB0003\s*Offline/);
    await status("Offline", 1).waitFor();
    await status("Reporting", 49).waitFor();
    await until("its symbol to be that of an offline one", () => isDrawn(page, "--offline", place));
    await status("Offline").click();
    await says(summary, /^1 of 50 lampposts$/);
    assert.deepEqual(await numbers(rows), ["KB0003"]);
    await drawn(page, "--reporting", 0);
    await shot(page, "city-offline");

    await tell("start KB0003");
    await says(summary, /^0 of 50 lampposts$/);
    await status("Reporting", 50).waitFor();
    await says(card, /KB0003\s*Reporting/);
    await status("Offline").click();
    await cellSays(page, "KB0003", "Status", /^Reporting$/);
    await cellSays(page, "KB0003", "Newest data", /^(now|\d s ago)$/);
    await until("its symbol to be that of the others", () => isDrawn(page, "--reporting", place));
    assert.deepEqual(loaded, [], "all of it came by itself");
  },
);

scene("a stale value never looks fresh", { ...WIDE, timeout: 120_000 }, async ({ page }) => {
  const { card, colour, map, row } = city(page);
  await colour.selectOption({ label: "Air temperature" });
  await cellSays(page, "KB0003", "Air temperature", /^-?\d+\.\d\d °C$/);
  await row("KB0003").getByText("Reporting").click();
  await says(card, /-?\d+\.\d\d °C/);
  const look = await looks(row("KB0003"));
  assert.deepEqual(look, await looks(row("KB0004")), "as the others");

  // Where it is: the map has moved to what is selected.
  const isHollow = async () => isDrawn(page, "--never", await middleOf(map));
  assert.equal(await isHollow(), false);

  await tell("freeze KB0003");
  const late = await cellSays(page, "KB0003", "Air temperature", /^late (\d+) s -?\d+\.\d\d °C$/, LATE_MS);
  const [, age] = /^late (\d+) s/.exec(late);
  // Three periods are 6 s; ages are drawn once a second, and rounded down.
  assert.ok(Number(age) >= 5, `${late} is older than three periods`);
  await says(card, /Air temperature\s*late\s*\d+ s/);
  assert.notDeepEqual(await looks(row("KB0003")), look, "not as the others");
  await until("its symbol to be hollow and grey", isHollow);
  await cellSays(page, "KB0004", "Air temperature", /^-?\d+\.\d\d °C$/);
  await cellSays(page, "KB0003", "Air temperature", new RegExp(`^late (?!${age} )\\d+ s`));
  await shot(page, "city-late-value");

  await tell("kill KB0003");
  await cellSays(page, "KB0003", "Air temperature", /^offline \d+ s -?\d+\.\d\d °C$/);
  await says(card, /Air temperature\s*offline\s*\d+ s/);
  await tell("start KB0003");
  await cellSays(page, "KB0003", "Air temperature", /^-?\d+\.\d\d °C$/);
  await until("its symbol to have a colour again", async () => !(await isHollow()));
});

scene(
  "a server that goes away is missed, what was shown stays, and whoever opens its new link is back",
  { ...WIDE, timeout: 240_000 },
  async ({ page, context, allow }) => {
    allow(/net::ERR_/);
    allow(/ 401 /);
    const { colour, link, main, search, status, summary } = city(page);
    const loaded = loads(page);
    await search.fill("street");
    await colour.selectOption({ label: "Air temperature" });
    await cellSays(page, "KB0001", "Air temperature", /^-?\d+\.\d\d °C$/);
    await says(link, /^Live$/);

    await tell("kill server");
    await says(link, /^Live link lost$/);
    await main.getByText("What you see may be out of date. The console keeps trying.").waitFor();
    await says(summary, /^10 of 50 lampposts$/);
    // What is shown stays, and grows old.
    await cellSays(page, "KB0001", "Air temperature", /^late \d+ s -?\d+\.\d\d °C$/, LATE_MS);
    await says(link, /^Live link lost$/);
    await axe(page);
    await shot(page, "city-link-lost");

    await tell("start server");
    await main.getByText("This console is locked").waitFor();
    await main.getByText("Open the link that the server printed when it started.").waitFor();
    await axe(page);
    await shot(page, "city-locked");
    assert.deepEqual(loaded, []);

    // A link that is opened from somewhere else comes in a tab of its own.
    const other = await context.newPage();
    await other.goto(await tell("link"));
    await says(city(other).link, /^Live$/);
    await other.close();
    await page.reload();
    await says(link, /^Live$/);
    await says(summary, /^10 of 50 lampposts$/);
    assert.equal(await search.inputValue(), "street");
    await status("Reporting", 10).waitFor({ timeout: 120_000 });
    await cellSays(page, "KB0001", "Air temperature", /^-?\d+\.\d\d °C$/);
  },
);

for (const [how, title] of [
  ["cut", "a feed that was cut goes on where it was: nothing that happened meanwhile is missed"],
  ["silent", "a feed that has gone silent is noticed, and goes on where it was"],
]) {
  scene(title, { ...WIDE, timeout: 120_000 }, async ({ page, allow }) => {
    const way = await wayTo(new URL(page.url()).origin);
    try {
      // The way there is another host, and while it is closed requests are lost.
      allow(new RegExp(`^request to another host: GET ${way.origin}/`));
      allow(/net::ERR_/);
      const { colour, link, row, status } = city(page);
      await page.goto(way.origin);
      await colour.selectOption({ label: "Air temperature" });
      await cellSays(page, "KB0008", "Air temperature", /^-?\d+\.\d\d °C$/);
      await drawn(page, "--reporting", 0);
      await says(link, /^Live$/);
      const loaded = loads(page);
      const asked = [];
      page.on("request", (request) => asked.push(request.url()));

      way[how]();
      await tell("set KB0008 air_temperature 31.5");
      await tell("kill KB0003");
      // Silence alone is a lost link after three of the server's words, which come every 5 s.
      await says(link, /^Live link lost$/, 30_000);
      await cellSays(page, "KB0008", "Air temperature", /^late \d+ s -?\d+\.\d\d °C$/);
      assert.doesNotMatch(await row("KB0008").innerText(), /31\.5/, "nobody has told yet");
      assert.match(await row("KB0003").innerText(), /Reporting/, "nobody has told yet");
      await shot(page, `city-${how}`);
      way.open();

      await says(link, /^Live$/, 30_000);
      await cellSays(page, "KB0003", "Status", /^Offline$/);
      await status("Offline", 1).waitFor();
      await cellSays(page, "KB0008", "Air temperature", /^31\.5\d °C$/);
      await tell("set KB0008 air_temperature 28.25");
      await cellSays(page, "KB0008", "Air temperature", /^28\.2\d °C$/);
      await tell("start KB0003");
      await cellSays(page, "KB0003", "Status", /^Reporting$/);
      const snapshots = asked.filter((url) => /\/city\/states\?property=/.test(url));
      assert.deepEqual(snapshots, [], "the feed itself has told it");
      assert.deepEqual(loaded, []);
    } finally {
      way.close();
    }
  });
}

/** A way to the server that can be cut: connections break, and no others are made; or that swallows all, silently. */
async function wayTo(origin) {
  const { hostname, port } = new URL(origin);
  const ends = new Set();
  let state = "open";
  const listener = createServer((near) => {
    if (state === "cut") return near.destroy();
    const far = connect({ host: hostname, port });
    for (const [one, other] of [
      [near, far],
      [far, near],
    ]) {
      ends.add(one);
      if (state === "silent") one.pause();
      one.on("data", (data) => other.write(data));
      one.on("error", () => {});
      one.on("close", () => (ends.delete(one), other.destroy()));
    }
  });
  await new Promise((done) => listener.listen(0, "127.0.0.1", done));
  return {
    origin: `http://127.0.0.1:${listener.address().port}`,
    open: () => ((state = "open"), ends.forEach((end) => end.resume())),
    cut: () => ((state = "cut"), ends.forEach((end) => end.destroy())),
    silent: () => ((state = "silent"), ends.forEach((end) => end.pause())),
    close: () => (listener.close(), ends.forEach((end) => end.destroy())),
  };
}

/** How the value of a row looks: what its texts are like, and how it is coloured. */
async function looks(row) {
  return row.getByText(/^-?\d+\.\d\d\s°C$/).evaluate((figure) => {
    const dot = figure.parentElement.querySelector("svg:last-of-type circle");
    const { color, fontWeight } = getComputedStyle(figure);
    return { color, fontWeight, isHollow: getComputedStyle(dot).fill === "none" };
  });
}
