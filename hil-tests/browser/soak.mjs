// The console, open for long: is memory flat, and did the page miss anything? Run by `bench soak`.
//
// usage: node soak.mjs LINK SECONDS
// The page shows the city coloured by a property. Beside it, in the same page, a second feed of everything counts each
// observation; every minute the counts are compared with what the API serves for the same time, and at the end what the
// table shows with the newest values. Prints one JSON object: figure -> value.

import { launch } from "./chromium.mjs";

const [link, seconds] = [process.argv[2], Number(process.argv[3])];
if (!(seconds > 0)) {
  console.error("usage: node soak.mjs LINK SECONDS");
  process.exit(2);
}
const PROPERTY = "air_temperature";

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
  await context.request.get(link);
  const origin = new URL(link).origin;
  const page = await context.newPage();
  page.on("console", (message) => console.error(`console: ${message.text()}`));
  page.on("pageerror", (error) => console.error(`page: ${error.stack}`));
  await page.goto(`${origin}/#/?view=table&by=${PROPERTY}`);
  await page.locator("main table tbody tr .figure").nth(5).waitFor();
  const session = await context.newCDPSession(page);

  await page.evaluate(() => {
    const seen = { series: new Map(), observations: 0, resets: 0 };
    globalThis.seen = seen;
    const source = new EventSource("/live");
    source.addEventListener("changes", (event) => {
      for (const one of JSON.parse(event.data).observations) {
        seen.observations += 1;
        const key = `${one.lamppost}/${one.series}`;
        const known = seen.series.get(key) ?? { first: one.time_ms, last: one.time_ms, count: 0 };
        known.count += 1;
        known.last = Math.max(known.last, one.time_ms);
        seen.series.set(key, known);
      }
    });
    source.addEventListener("reset", () => (seen.resets += 1));
    /** What was seen since the last time, which is then forgotten; what follows is counted from there on. */
    globalThis.harvest = () => {
      const { observations, resets } = seen;
      const series = [...seen.series].map(([key, { ...span }]) => [key, span]);
      for (const [, span] of seen.series) [span.first, span.count] = [span.last + 1, 0];
      return { series, observations, resets };
    };
  });

  const began = Date.now();
  const heap = [];
  let [missed, observations, resets] = [0, 0, 0];
  while (Date.now() - began < seconds * 1000) {
    await page.waitForTimeout(Math.min(60_000, seconds * 100));
    heap.push(await heapBytes(session));
    const seen = await page.evaluate(() => globalThis.harvest());
    missed += await missedOf(context, origin, seen.series);
    ({ observations, resets } = seen);
    const elapsed = (Date.now() - began) / 1000;
    const rate = (observations / elapsed).toFixed(0);
    const megabytes = (heap.at(-1) / 1e6).toFixed(2);
    console.error(
      `${elapsed.toFixed(0)} s: ${observations} observations (${rate}/s), ${missed} missed, ${resets} resets, heap ${megabytes} MB`,
    );
  }
  const elapsed = (Date.now() - began) / 1000;
  const differing = await differingRows(context, origin, page);
  console.log(
    JSON.stringify({
      "soak.seconds": elapsed,
      "soak.rate": observations / elapsed,
      "soak.observations": observations,
      "soak.missed": missed,
      "soak.differing": differing,
      "soak.resets": resets,
      "soak.heap_begin": heap[0],
      "soak.heap_middle": heap[Math.floor(heap.length / 2)],
      "soak.heap_end": heap.at(-1),
    }),
  );
} finally {
  await browser.close();
}

/** What is in use after a collection. */
async function heapBytes(session) {
  await session.send("HeapProfiler.collectGarbage");
  return (await session.send("Runtime.getHeapUsage")).usedSize;
}

/** Observations of the API in the spans of time that the page has seen, and that the page has not, or the other way round. */
async function missedOf(context, origin, series) {
  let missed = 0;
  for (const [key, { first, last, count }] of series) {
    if (last < first) continue;
    const [lamppost, device, property, channel] = key.split("/");
    const query = new URLSearchParams({ from: String(first), to: String(last + 1), step: "P1D" });
    if (channel !== undefined) query.set("channel", channel);
    const path = `/api/v1/lampposts/${lamppost}/series/${device}/${property}`;
    const answer = await context.request.get(`${origin}${path}?${query}`);
    if (!answer.ok()) throw new Error(`${path}: ${answer.status()} ${await answer.text()}`);
    const { buckets } = await answer.json();
    const served = buckets.reduce((sum, one) => sum + one.good + one.uncertain + one.bad, 0);
    if (served !== count) console.error(`${key}: the API has ${served}, the page saw ${count}`);
    missed += Math.abs(served - count);
  }
  return missed;
}

/** Rows whose value is neither the one before nor the one after the look at the table, by the API. */
async function differingRows(context, origin, page) {
  const values = async () => {
    const answer = await context.request.get(`${origin}/api/v1/city/states?property=${PROPERTY}`);
    return (await answer.json()).values;
  };
  const numbers = (await (await context.request.get(`${origin}/api/v1/city`)).json()).numbers;
  const before = await values();
  const shown = await page
    .locator("main table tbody tr:has(.figure)")
    .evaluateAll((rows) =>
      rows.map((row) => [row.querySelector("a").textContent, row.querySelector(".figure").textContent]),
    );
  await page.waitForTimeout(300);
  const after = await values();
  if (shown.length === 0) throw new Error("the table shows no rows");
  // As the table writes a temperature; a value that is none is written in words.
  const written = (value) => (value === null ? null : value.toFixed(2));
  const read = (text) => (/^-?[\d.]+/.test(text.trim()) ? Number.parseFloat(text).toFixed(2) : null);
  return shown.filter(([number, value]) => {
    const place = numbers.indexOf(number);
    return read(value) !== written(before[place]) && read(value) !== written(after[place]);
  }).length;
}
