// What the console costs: bytes of its pages, main thread of live changes, time of a search. Run by `bench console`.
//
// usage: node bench.mjs STREET_LINK CITY_LINK
//   STREET_LINK  login link of a server with fifty lampposts that report
//   CITY_LINK    login link of a server with a generated city, of which nothing is connected
// Prints one JSON object: figure -> value.

import http from "node:http";

import { launch } from "./chromium.mjs";

const BATCH = 1000;
const BATCHES = 20;
const SEARCHES = ["aa01", "kwun tong", "street 0420", "7", "no such lamppost", "ab 9999"];

const [street, city] = process.argv.slice(2);
if (city === undefined) {
  console.error("usage: node bench.mjs STREET_LINK CITY_LINK");
  process.exit(2);
}
const browser = await launch();
try {
  const figures = {
    ...(await list(street)),
    "console.system_bytes": await transferred(street, "#/system"),
    "console.lamppost_bytes": await transferred(street, "#/lampposts/KB0001"),
    "console.map_bytes": await transferred(street, "#/?view=map"),
    ...(await large(city)),
  };
  console.log(JSON.stringify(figures));
} finally {
  await browser.close();
}

/** The table: what its code weighs, and everything that it loads, the data of the street among it. */
async function list(link) {
  const { wire, code } = await loaded(link, "#/?view=table");
  return { "console.list_bytes": code, "console.list_wire_bytes": wire };
}

async function transferred(link, fragment) {
  return (await loaded(link, fragment)).wire;
}

/** Bytes on the wire of everything that a page loads in a browser that has nothing yet, its workers' scripts among it and
 * the live feed left out; and of its document, scripts, styles and pictures alone, without the headers. */
async function loaded(link, fragment) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.request.get(link);
  const page = await context.newPage();
  const finished = [];
  context.on("requestfinished", (request) => finished.push(request));
  await page.goto(new URL(`/${fragment}`, link).href);
  await page.locator("main table, main canvas, main dl").first().waitFor({ state: "attached" });
  await page.waitForTimeout(4000);
  let [wire, code] = [0, 0];
  for (const request of finished) {
    const path = new URL(request.url()).pathname;
    const { responseHeadersSize, responseBodySize } = await request.sizes();
    // Of what a worker reads the browser tells no size: the server does.
    const length = (await (await request.response()).headerValue("content-length")) ?? "0";
    const body = responseBodySize || Number(length);
    wire += responseHeadersSize + body;
    if (!path.startsWith("/api")) code += body;
  }
  await context.close();
  return { wire, code };
}

/** The generated city behind a proxy that answers /live with generated changes and hands all else on. */
async function large(link) {
  const origin = new URL(link).origin;
  const feeds = new Set();
  const proxy = http.createServer((request, response) => {
    if (request.url.startsWith("/live")) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      response.write(`retry: 2000\nevent: time\ndata: {"time_ms":${Date.now()}}\n\n`);
      const ticking = setInterval(
        () => response.write(`event: time\ndata: {"time_ms":${Date.now()}}\n\n`),
        5000,
      );
      feeds.add(response);
      response.on("close", () => (clearInterval(ticking), feeds.delete(response)));
      return;
    }
    const onward = http.request(
      origin + request.url,
      { method: request.method, headers: request.headers },
      (answer) => {
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    request.pipe(onward);
  });
  await new Promise((done) => proxy.listen(0, "127.0.0.1", done));
  const base = `http://127.0.0.1:${proxy.address().port}`;
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
    await context.request.get(link.replace(origin, base));
    const numbers = (await (await context.request.get(`${base}/api/v1/city`)).json()).numbers;
    const positions = await wireBytes(context, `${base}/api/v1/city`);

    const listed = await context.newPage();
    await listed.goto(`${base}/#/?view=table`);
    await listed.locator("main table tbody tr").nth(5).waitFor({ timeout: 120_000 });
    const search = await searched(listed);
    const stall = await scrolled(listed);
    const table = await changed(listed, feeds, numbers);
    await listed.close();

    const mapped = await context.newPage();
    await mapped.goto(`${base}/#/?view=map`);
    await mapped.locator("main canvas").first().waitFor({ timeout: 120_000 });
    // Until the map has drawn what it has.
    await mapped.waitForTimeout(30_000);
    const map = await changed(mapped, feeds, numbers);
    await context.close();
    return {
      "console.lampposts": numbers.length,
      "console.positions_bytes": positions,
      "console.update_ms": map.half,
      "console.update_p95_ms": map.most,
      "console.update_script_ms": map.script,
      "console.update_table_ms": table.half,
      "console.update_table_p95_ms": table.most,
      "console.search_ms": search,
      "console.scroll_longest_frame_ms": stall,
    };
  } finally {
    feeds.forEach((feed) => feed.end());
    proxy.close();
    proxy.closeAllConnections();
  }
}

async function wireBytes(context, url) {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send("Network.enable");
  const finished = new Promise((done) => session.once("Network.loadingFinished", done));
  await page.goto(url);
  const { encodedDataLength } = await finished;
  await page.close();
  return encodedDataLength;
}

/** Sends batches of changes; the time of the page's handler (half of them take no longer, 95 of 100 no longer), and the
 * page's script time of all that follows from a batch, what it does anyway left out. */
async function changed(page, feeds, numbers) {
  const session = await page.context().newCDPSession(page);
  await session.send("Performance.enable");
  const script = async () => {
    const { metrics } = await session.send("Performance.getMetrics");
    return metrics.find((one) => one.name === "ScriptDuration").value * 1000;
  };
  const clear = () => performance.clearMeasures("lamplighter:changes");
  const idleBefore = await script();
  await page.waitForTimeout(BATCHES * 1000);
  const idle = (await script()) - idleBefore;
  await page.evaluate(clear);
  const before = await script();
  const statuses = ["reporting", "late", "offline"];
  for (let batch = 0; batch < BATCHES; batch += 1) {
    const states = Array.from({ length: BATCH }, (_, place) => ({
      lamppost: numbers[(batch * 7919 + place * 97) % numbers.length],
      status: statuses[(batch + place) % 3],
      since_ms: Date.now(),
      quality: ["good", "uncertain", "bad"][(batch + place) % 3],
      bad: 1,
      uncertain: 1,
      last_observation_ms: Date.now(),
    }));
    const event = `event: changes\nid: 00000000000000aa-${batch}\ndata: ${JSON.stringify({ observations: [], states })}\n\n`;
    feeds.forEach((feed) => feed.write(event));
    await page.waitForTimeout(1000);
  }
  const busy = (await script()) - before - idle;
  const times = await page.evaluate(() =>
    performance.getEntriesByName("lamplighter:changes").map((entry) => entry.duration),
  );
  if (times.length < BATCHES) throw new Error(`${times.length} of ${BATCHES} batches were applied`);
  times.sort((one, other) => one - other);
  const quantile = (share) => times[Math.min(times.length - 1, Math.floor(times.length * share))];
  return { half: quantile(0.5), most: quantile(0.95), script: Math.max(0, busy) / BATCHES };
}

/** The longest of several searches, from the key to the drawn table. */
async function searched(page) {
  const field = page.getByRole("searchbox").first();
  await page.evaluate(() => performance.clearMeasures("lamplighter:search"));
  for (const words of SEARCHES) {
    await field.fill(words);
    await page.waitForTimeout(700);
  }
  await field.fill("");
  await page.waitForTimeout(700);
  const times = await page.evaluate(() =>
    performance.getEntriesByName("lamplighter:search").map((entry) => entry.duration),
  );
  if (times.length < SEARCHES.length) throw new Error(`${times.length} searches were measured`);
  return Math.max(...times);
}

/** Wheels through the table; the longest time without a frame. */
async function scrolled(page) {
  const box = await page.locator("main table").first().boundingBox();
  await page.mouse.move(box.x + 200, box.y + 200);
  await page.evaluate(() => {
    const frames = (globalThis.frames_ms = [performance.now()]);
    const frame = () => (frames.push(performance.now()), requestAnimationFrame(frame));
    requestAnimationFrame(frame);
  });
  for (let turn = 0; turn < 60; turn += 1) {
    await page.mouse.wheel(0, 4000);
    await page.waitForTimeout(30);
  }
  return page.evaluate(() => {
    const frames = globalThis.frames_ms;
    return Math.max(...frames.slice(1).map((time, place) => time - frames[place]));
  });
}
