// One lamppost: what it is, what it observes now and has observed, and what of that is to be believed.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { scene, tell, until } from "./stage.mjs";

/** Units as people write them. */
const UNITS = {
  Cel: "°C",
  "%": "%",
  hPa: "hPa",
  "ug/m3": "µg/m³",
  // A length of time has units of its own.
  s: "",
  KiBy: "KiB",
  "{record}": "record",
  "{tick}": "tick",
};
/** Every chip is read so often. */
const PERIOD_MS = 2_000;
/** No line is drawn across a hole longer than this. */
const REACH_MS = 3 * PERIOD_MS;

scene("the page says what the lamppost is, where, and how it is connected", async ({ page }) => {
  const head = await visit(page, "KB0007");
  const told = await get(page, "/api/v1/lampposts/KB0007");
  await head.getByText("Reporting", { exact: true }).waitFor();
  await head.getByText(`${told.road}, ${told.district}`).waitFor();
  await head.getByText(`${told.latitude_deg.toFixed(5)}, ${told.longitude_deg.toFixed(5)}`).waitFor();
  const fact = (term) =>
    head
      .locator("dl > div")
      .filter({ has: page.locator("dt", { hasText: new RegExp(`^${term}$`) }) })
      .getByRole("definition");
  assert.equal(await fact("Connection").innerText(), `Connected since ${shownTime(told.connection.since)}`);
  assert.match(await fact("Last message").innerText(), /^\d+ \w+ \d{4}, \d\d:\d\d:\d\d \((now|\d+ s ago)\)$/);
  assert.match(await fact("Last acknowledged").innerText(), /\((now|\d+ s ago)\)$/);
  await fact("Backlog")
    .filter({ hasText: "None: the server holds all that the lamppost has named" })
    .waitFor();
  assert.equal(await fact("Agent").innerText(), told.report.agent_version);
  assert.equal(await fact("Hardware serial").innerText(), told.report.hardware_serial);
  assert.equal(await fact("Configuration").innerText(), `Generation ${told.report.generation}`);
  const description = fact("Description").locator("code");
  assert.equal(await description.innerText(), `${told.report.description.slice(0, 12)}…`);
  assert.equal(await description.getAttribute("title"), told.report.description);
  // What is of no use every day is folded up.
  await head.getByText("Outbox and run").click();
  assert.match(await fact("Run").innerText(), new RegExp(told.report.run));
  await head.getByRole("link", { name: "Show on the map" }).click();
  await page.waitForURL(/#\/\?.*select=KB0007/);
});

scene(
  "every series is shown with value, unit, time, age and quality, as the API has them",
  async ({ page }) => {
    await visit(page, "KB0007");
    const { series } = await get(page, "/api/v1/lampposts/KB0007/series");
    const { properties } = await get(page, "/api/v1/catalogue");
    assert.equal(series.length, 10);
    for (const one of series) {
      const { title_en: title } = properties.find(({ name }) => name === one.property);
      const shown = await readingOf(now(page, one.device, title));
      const { observations } = await history(page, "KB0007", one, shown.time_ms, shown.time_ms + 1);
      assert.equal(observations.length, 1, `${title} is of a time at which there is one`);
      const [observed] = observations;
      assert.ok(shown.text.includes(UNITS[one.unit]), `${UNITS[one.unit]} in ${shown.text}`);
      assert.ok(Math.abs(shown.value - observed.value) < 0.0051, `${shown.text} for ${observed.value}`);
      assert.match(shown.text, /Good/);
      const clock = shownTime(observed.time).split(", ")[1];
      assert.match(shown.text, new RegExp(`${clock} · (now|\\d+ s ago)`));
    }
  },
);

scene("values move on by themselves", async ({ page }) => {
  await visit(page, "KB0012");
  await page.evaluate(() => (globalThis.stays = true));
  const air = now(page, "weather-1", "Air temperature");
  const first = await readingOf(air);
  await until(
    "two newer readings",
    async () => (await readingOf(air)).time_ms >= first.time_ms + 2 * PERIOD_MS,
  );
  const value = first.value > 30 ? 21.5 : 41.5;
  await tell(`set KB0012 air_temperature ${value}`);
  const changed = await until("what it was told", async () => {
    const newest = await readingOf(air);
    return newest.value === value && newest;
  });
  assert.ok(Date.now() - changed.time_ms < REACH_MS + 3_000, "what is shown is of now");
  assert.ok(await page.evaluate(() => globalThis.stays), "the page was not loaded again");
});

scene("an unplugged chip says so in words, and in the history", { timeout: 90_000 }, async ({ page }) => {
  await tell("break KB0007 chip absent");
  const head = await visit(page, "KB0007");
  await head.getByText("3 series without a value").waitFor();
  for (const title of ["Air temperature", "Relative humidity", "Barometric pressure"]) {
    const row = now(page, "weather-1", title).filter({ hasText: "no value" });
    await row.getByText("Bad", { exact: true }).waitFor();
    await row.getByText("The sensor does not answer").waitFor();
  }
  await now(page, "air-1", "Fine particles (PM2.5)").getByText("Good", { exact: true }).waitFor();

  // A minute, so that the chart shows each observation.
  await showRange(page, "KB0007", Date.now() - 30_000, Date.now() + 30_000);
  const air = chart(page, "Air temperature, weather-1");
  await air.getByText(/\d+ observations · \d+ bad/).waitFor();
  await until("marks of what is bad", () => inked(air, "--bad"));
  assert.equal(await inked(chart(page, "Fine particles (PM2.5), air-1"), "--bad"), 0, "and only there");
  await air.getByRole("button", { name: "Table" }).click();
  const bad = air.getByRole("row").filter({ hasText: "Bad" });
  await bad.first().waitFor();
  assert.match(
    await bad.first().innerText(),
    /^\d\d:\d\d:\d\d\s+no value\s+Bad\s+The sensor does not answer$/,
  );

  // In buckets they are counted.
  await page.getByRole("button", { name: "15 min" }).click();
  const columns = air.getByRole("columnheader");
  await columns.filter({ hasText: "Mean °C" }).waitFor();
  const place = (await columns.allInnerTexts()).indexOf("Bad");
  await until("a bucket with something bad", async () => {
    const counts = await air.locator(`tbody tr > :nth-child(${place + 1})`).allInnerTexts();
    return counts.some((count) => Number(count) > 0);
  });

  await tell("mend KB0007");
  const row = now(page, "weather-1", "Air temperature");
  await row.getByText("Good", { exact: true }).waitFor();
  await head.getByText("3 series without a value").waitFor({ state: "detached" });
});

scene(
  "a value that nobody believes is shown, doubted, and told why",
  { timeout: 90_000 },
  async ({ page }) => {
    await tell("set KB0008 air_temperature 75");
    const head = await visit(page, "KB0008");
    const row = now(page, "weather-1", "Air temperature").filter({ hasText: "75.00 °C" });
    await row.getByText("Uncertain", { exact: true }).waitFor();
    await row.getByText("Outside of the range that is believed").waitFor();
    await head.getByText("1 series in doubt").waitFor();

    await showRange(page, "KB0008", Date.now() - 30_000, Date.now() + 30_000);
    const air = chart(page, "Air temperature, weather-1");
    await air.getByText(/\d+ observations · \d+ uncertain/).waitFor();
    await until("a dashed line", () => inked(air, "--uncertain"));
    assert.equal(
      await inked(chart(page, "Relative humidity, weather-1"), "--uncertain"),
      0,
      "and only there",
    );
    await air.getByRole("button", { name: "Table" }).click();
    const doubted = air.getByRole("row").filter({ hasText: "Uncertain" });
    await doubted.first().waitFor();
    assert.match(
      await doubted.first().innerText(),
      /^\d\d:\d\d:\d\d\s+75\.00\s+Uncertain\s+Outside of the range that is believed$/,
    );
  },
);

scene(
  "no line is drawn across the time in which the agent was stopped",
  { timeout: 150_000 },
  async ({ page }) => {
    const series = { device: "weather-1", property: "air_temperature", channel: null };
    const newest = async () => {
      const { latest } = await get(page, "/api/v1/lampposts/KB0003/latest");
      return Date.parse(latest.find(({ property }) => property === series.property).time);
    };
    // Enough on this side of the stop, since it was last started.
    const { connection } = await get(page, "/api/v1/lampposts/KB0003");
    const since = Date.parse(connection.since);
    await until("half a minute of data", async () => (await newest()) > since + 20_000, 40_000);
    await tell("kill KB0003");
    const before = await newest();
    await until("the stop to last", () => Date.now() > before + 13_000);
    await tell("start KB0003");
    const after = await until(
      "data after the stop",
      async () => {
        const time = await newest();
        return time > before && time;
      },
      90_000,
    );
    await until("more data after the stop", async () => (await newest()) >= after + 8_000);

    // In a range that follows the clock: words.
    await page.goto("/#/lampposts/KB0003?range=15m");
    await page.getByText(/^The agent was stopped \d+ times? in this range$/).click();
    const { stops } = await get(page, `/api/v1/lampposts/KB0003/stops?from=${iso(before - 20_000)}`);
    const stop = stops.at(-1);
    const [ended, opened] = [Date.parse(stop.ended), Date.parse(stop.opened)];
    const seconds = Math.floor((opened - ended) / 1000);
    const told = page.getByRole("listitem").filter({ hasText: shownTime(stop.opened) });
    const missed = /: weather-1 missed [56789] readings · air-1 missed [56789] readings/;
    assert.match(await told.innerText(), missed);
    assert.ok(
      (await told.innerText()).includes(`(${seconds} s)`),
      `${seconds} s in ${await told.innerText()}`,
    );
    await page.getByText("agent was stopped", { exact: true }).waitFor();

    // In a range that stands still: the drawing.
    const [from, to] = [before - 15_000, after + 8_000];
    await showRange(page, "KB0003", from, to);
    const air = chart(page, "Air temperature, weather-1");
    await air.getByText("each observation").waitFor();
    const drawn = await until("the chart to be drawn", async () => {
      const columns = await columnsOf(air, from, to);
      return columns.some(({ line }) => line > 0) && columns;
    });
    const within = (begin, end) => drawn.filter(({ time_ms }) => time_ms > begin && time_ms < end);
    // Marks of the last and first observation are some pixels wide.
    const margin = ((to - from) / drawn.length) * 6;
    const { observations } = await history(page, "KB0003", series, from, to);
    const times = observations.map(({ time }) => Date.parse(time));
    const [last, first] = [
      Math.max(...times.filter((time) => time < opened)),
      times.find((time) => time > opened),
    ];
    assert.ok(first - last > REACH_MS, `${first - last} ms is a gap`);
    for (const [begin, end] of [
      [times[0], last],
      [first, times.at(-1)],
    ]) {
      const line = within(begin, end);
      assert.ok(line.length > 20 && line.every(({ line }) => line > 0), "on both sides the line is unbroken");
    }
    const gap = within(last + margin, first - margin);
    assert.ok(gap.length > 50, `${gap.length} columns of pixels are in the gap`);
    assert.deepEqual(
      gap.filter(({ line }) => line > 0),
      [],
      "no column of the gap has a pixel of the line",
    );
    const shaded = within(ended + margin, opened - margin);
    assert.ok(shaded.length > 50 && shaded.every(({ plain }) => plain < 0.2), "the stop is shaded");
    // Where the lines of the grid are, nothing is empty.
    const covered = within(times[0], last).filter(({ plain }) => plain < 0.5);
    assert.ok(covered.length < 10, "and nothing else is");

    // The table has no ticks there.
    await air.getByRole("button", { name: "Table" }).click();
    const shown = await air.locator("tbody th").allInnerTexts();
    assert.deepEqual(shown, times.map(shownClock).reverse());
  },
);

scene("a chart is a table too, and both are the API's observations as the CSV has them", async ({ page }) => {
  const [series] = (await get(page, "/api/v1/lampposts/KB0009/series")).series.filter(
    ({ property }) => property === "air_temperature",
  );
  // What is past does not change.
  const to = Math.floor(Date.now() / 1000) * 1000 - 3_000;
  const from = to - 60_000;
  await until("its data", async () => {
    const { latest } = await get(page, "/api/v1/lampposts/KB0009/latest");
    return Date.parse(latest[0].time) > to;
  });
  const { observations } = await history(page, "KB0009", series, from, to);
  assert.ok(observations.length >= 5, `${observations.length} observations`);
  await visit(page, "KB0009");
  await showRange(page, "KB0009", from, to);
  const air = chart(page, "Air temperature, weather-1");
  const rows = await tableOf(air);
  const file = await download(page, air.getByRole("link", { name: "CSV, all" }));
  assert.equal(file.name, "KB0009_weather-1_air_temperature.csv");
  assert.deepEqual(file.header, ["time", "value", "unit", "quality", "reason"]);
  assert.deepEqual(
    file.rows,
    observations.map(({ time, value, quality, reason }) => [time, String(value), "Cel", quality, reason]),
  );
  assert.deepEqual(
    rows.map(([time, value, quality]) => [time, value, quality]),
    observations.map(({ time, value }) => [shownClock(Date.parse(time)), value.toFixed(2), "Good"]).reverse(),
  );
});

scene("what a chart sums up, its table and its CSV sum up alike", async ({ page }) => {
  const to = Math.floor(Date.now() / 4_000) * 4_000 - 4_000;
  const from = to - 15 * 60_000;
  await until("its data", async () => {
    const { latest } = await get(page, "/api/v1/lampposts/KB0009/latest");
    return Date.parse(latest[0].time) > to;
  });
  await visit(page, "KB0009");
  await showRange(page, "KB0009", from, to);
  const air = chart(page, "Air temperature, weather-1");
  await air.getByText(/Mean of \d+ s/).waitFor();
  const step = Number((await air.getByText(/Mean of/).innerText()).match(/Mean of (\d+) s/)[1]);
  const rows = await tableOf(air);
  const file = await download(page, air.getByRole("link", { name: "CSV", exact: true }));
  assert.equal(file.name, `KB0009_weather-1_air_temperature_PT${step}S.csv`);
  assert.deepEqual(file.header, [
    ...["start", "end", "value", "minimum", "maximum"],
    ...["good", "uncertain", "bad", "unit"],
  ]);
  assert.ok(file.rows.every((row) => row.at(-1) === "Cel"));
  const begin = iso(Math.floor(from / (step * 1000)) * step * 1000);
  const path = "/api/v1/lampposts/KB0009/series/weather-1/air_temperature";
  const { buckets } = await get(page, `${path}?from=${begin}&to=${iso(to)}&step=${step}`);
  const numbers = ({ value, minimum, maximum }) => [value, minimum, maximum];
  const counts = ({ good, uncertain, bad }) => [good, uncertain, bad];
  assert.deepEqual(
    file.rows.map((row) => [row[0], row[1], ...row.slice(2, 8).map(Number)]),
    buckets.map((bucket) => [bucket.start, bucket.end, ...numbers(bucket), ...counts(bucket)]),
  );
  assert.deepEqual(
    rows,
    buckets
      .map((bucket) => [
        shownClock(Date.parse(bucket.start)),
        shownClock(Date.parse(bucket.end)),
        ...numbers(bucket).map((number) => number.toFixed(2)),
        ...counts(bucket).map(String),
      ])
      .reverse(),
  );
});

scene(
  "a range is in the address, by the city's clocks, wherever the browser is",
  { timezoneId: "America/New_York" },
  async ({ page }) => {
    await visit(page, "KB0010");
    const pressed = page.getByRole("group", { name: "Range" }).getByRole("button", { pressed: true });
    assert.equal(await pressed.innerText(), "1 h");
    for (const [name, query] of [
      ["15 min", "15m"],
      ["6 h", "6h"],
      ["24 h", "24h"],
      ["7 days", "7d"],
    ]) {
      await page.getByRole("button", { name, exact: true }).click();
      await page.waitForURL(new RegExp(`range=${query}`));
      assert.equal(await pressed.innerText(), name);
    }
    await chart(page, "Air temperature, weather-1")
      .getByText(/Mean of \d+ (min|h)/)
      .waitFor();

    const from = Math.floor(Date.now() / 1000) * 1000 - 60_000;
    await page.getByLabel("From").fill(fieldText(from + 90_000));
    await page.getByLabel("To", { exact: true }).fill(fieldText(from + 60_000));
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.getByText('"From" has to be before "to".').waitFor();
    await page.getByLabel("From").fill(fieldText(from));
    await page.getByRole("button", { name: "Show", exact: true }).click();
    await page.waitForURL((url) => {
      const query = new URLSearchParams(url.hash.split("?")[1]);
      return query.get("from") === iso(from) && query.get("to") === iso(from + 60_000);
    });
    assert.equal(await pressed.count(), 0, "no preset is a custom range");
    await page.getByText("The charts show a fixed range.").waitFor();

    // A link shows the same.
    await page.reload();
    await page.getByRole("heading", { name: "Lamppost KB0010" }).waitFor();
    assert.equal(await page.getByLabel("From").inputValue(), fieldText(from));
    await page.getByRole("button", { name: "Back to" }).click();
    await page.getByText("The charts follow the clock.").waitFor();
    assert.ok(!page.url().includes("from="));
  },
);

scene("the keyboard moves through a chart, and what is there is told", async ({ page }) => {
  // All of it has arrived: nothing comes between what the API says and what the chart does.
  const to = Date.now() - 10_000;
  await visit(page, "KB0010");
  await showRange(page, "KB0010", to - 40_000, to);
  const air = chart(page, "Air temperature, weather-1");
  const cursor = air.getByRole("slider", { name: "Air temperature: cursor of the chart" });
  await air.getByText("each observation").waitFor();
  const summary = await cursor.getAttribute("aria-valuetext");
  assert.match(summary, /^\d+ observations/);
  await cursor.focus();
  const { observations } = await history(
    page,
    "KB0010",
    { device: "weather-1", property: "air_temperature" },
    to - 40_000,
    to,
  );
  const texts = observations.map(
    ({ time, value }) => `${shownClock(Date.parse(time))}, ${value.toFixed(2)} °C, Good`,
  );
  const said = async (key) => {
    await page.keyboard.press(key);
    return cursor.getAttribute("aria-valuetext");
  };
  assert.equal(await said("End"), texts.at(-1));
  // A chart that is drawn for the first time leaves the cursor of the others where it is.
  const lowest = page.locator("article.card .chart").last();
  await lowest.scrollIntoViewIfNeeded();
  await lowest.locator(".u-over").waitFor();
  await air.scrollIntoViewIfNeeded();
  await until(`the cursor still at ${texts.at(-1)}`, async () =>
    (await cursor.getAttribute("aria-valuetext")) === texts.at(-1),
  );
  assert.equal(await said("ArrowLeft"), texts.at(-2));
  assert.equal(await said("ArrowLeft"), texts.at(-3));
  assert.equal(await said("ArrowRight"), texts.at(-2));
  assert.equal(await said("Home"), texts[0]);
  assert.equal(await said("ArrowLeft"), texts[0], "there is nothing before the first");
  // What is spoken is also there to be read, and the other charts show the same time.
  await air.locator("strong", { hasText: `${observations[0].value.toFixed(2)} °C` }).waitFor();
  const humidity = page.getByRole("slider", { name: "Relative humidity: cursor of the chart" });
  const time = shownClock(Date.parse(observations[0].time));
  await until(`the other chart's cursor at ${time}`, async () =>
    (await humidity.getAttribute("aria-valuetext")).startsWith(time),
  );
  assert.equal(await said("Escape"), summary);

  // The pointer zooms into what it is drawn across.
  const box = await air.locator(".u-over").boundingBox();
  await page.mouse.move(box.x + box.width * 0.25, box.y + 50);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.75, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL((url) => {
    const query = new URLSearchParams(url.hash.split("?")[1]);
    const [begin, end] = [Date.parse(query.get("from")), Date.parse(query.get("to"))];
    return Math.abs(begin - (to - 30_000)) < 1_000 && Math.abs(end - (to - 10_000)) < 1_000;
  });
});

scene("a lamppost that nobody registered is named, with a way back", async ({ page, allow }) => {
  // The answer to the question for it.
  allow(/404 \(Not Found\)/);
  await page.goto("/#/lampposts/XX9999");
  await page.getByRole("heading", { name: "XX9999 is not registered" }).waitFor();
  await page.getByText("No lamppost of this number is in the server's register.").waitFor();
  await page.getByRole("link", { name: "Go to the city" }).click();
  await page
    .getByRole("heading", { level: 1 })
    .filter({ hasNotText: "XX9999" })
    .waitFor({ state: "attached" });
  assert.equal(new URL(page.url()).hash, "#/");
});

/** Opens the page of a lamppost, and waits until it shows values. */
async function visit(page, number) {
  await page.goto(`/#/lampposts/${number}`);
  const head = page.getByRole("region", { name: `Lamppost ${number}` });
  await head.waitFor();
  await now(page, "weather-1", "Air temperature").locator("time").waitFor();
  return head;
}

async function showRange(page, number, from, to) {
  await page.goto(`/#/lampposts/${number}?from=${iso(from)}&to=${iso(to)}`);
  await page.getByText("The charts show a fixed range.").waitFor();
  await page.getByRole("heading", { name: "History" }).scrollIntoViewIfNeeded();
  await chart(page, "Air temperature, weather-1").and(page.locator('[data-phase="ready"]')).waitFor();
}

/** What a series of a device shows now. */
function now(page, device, title) {
  return page
    .getByRole("region", { name: device, exact: true })
    .getByRole("listitem")
    .filter({ has: page.getByRole("button", { name: title, exact: true }) });
}

/** Value and time of one and the same moment. */
async function readingOf(item) {
  await item.locator("time").waitFor();
  const { text, value, time } = await item.evaluate((element) => ({
    text: element.innerText,
    value: element.querySelector(".value").innerText,
    time: element.querySelector("time").dateTime,
  }));
  return { text, value: numberOf(value.replaceAll(",", "")), time_ms: Date.parse(time) };
}

/** `27.31 °C` -> 27.31; a length of time in seconds: `3 min 5 s` -> 185. */
function numberOf(text) {
  const SECONDS = { day: 86_400, h: 3_600, min: 60, s: 1 };
  const parts = [...text.matchAll(/(\d+) (day|h|min|s)s?(?= |$)/g)];
  if (parts.length === 0) return Number.parseFloat(text);
  return parts.reduce((sum, [, many, unit]) => sum + Number(many) * SECONDS[unit], 0);
}

function chart(page, name) {
  return page.getByRole("article", { name, exact: true });
}

/** Pixels of a chart in the colour of this name. */
async function inked(article, name) {
  await article.scrollIntoViewIfNeeded();
  await article.locator("canvas").waitFor();
  return article.evaluate((element, name) => {
    const canvas = element.querySelector("canvas");
    const [red, green, blue] = rgb(getComputedStyle(element).getPropertyValue(name).trim());
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let many = 0;
    for (let at = 0; at < data.length; at += 4) {
      const off = Math.abs(data[at] - red) + Math.abs(data[at + 1] - green) + Math.abs(data[at + 2] - blue);
      if (data[at + 3] > 128 && off < 24) many += 1;
    }
    return many;

    function rgb(hex) {
      return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));
    }
  }, name);
}

/**
 * The columns of pixels of a chart's canvas from left to right: of what time each is, how many of its pixels have the
 * colour of the line, and what part of them is empty.
 */
async function columnsOf(article, from, to) {
  return article.evaluate(
    (element, [from, to]) => {
      const canvas = element.querySelector("canvas");
      if (canvas === null) return [];
      const [red, green, blue] = [1, 3, 5].map((at) =>
        Number.parseInt(
          getComputedStyle(element)
            .getPropertyValue("--accent")
            .trim()
            .slice(at, at + 2),
          16,
        ),
      );
      const ratio = canvas.width / canvas.clientWidth;
      const over = element.querySelector(".u-over");
      const [left, top] = [over.offsetLeft * ratio, over.offsetTop * ratio];
      const [width, height] = [over.clientWidth * ratio, over.clientHeight * ratio];
      const { data } = canvas.getContext("2d").getImageData(left, top, width, height);
      return Array.from({ length: Math.floor(width) }, (_, x) => {
        let [line, plain] = [0, 0];
        for (let y = 0; y < height; y += 1) {
          const at = (y * Math.floor(width) + x) * 4;
          const [r, g, b, opaque] = data.slice(at, at + 4);
          const off = Math.abs(r - red) + Math.abs(g - green) + Math.abs(b - blue);
          if (opaque > 100 && off < 60) line += 1;
          if (opaque === 0) plain += 1;
        }
        return { time_ms: from + ((x + 0.5) / width) * (to - from), line, plain: plain / height };
      });
    },
    [from, to],
  );
}

/** All rows of a chart's table, newest first, and goes through its pages for them. */
async function tableOf(article) {
  await article.getByRole("button", { name: "Table" }).click();
  const rows = [];
  const older = article.getByRole("button", { name: "Older" });
  for (;;) {
    rows.push(
      ...(await article
        .locator("tbody tr")
        .evaluateAll((all) => all.map((row) => [...row.cells].map((cell) => cell.innerText.trim())))),
    );
    const told = await article.getByText(/^\d+ of \d+$/).innerText();
    if (await older.isDisabled()) {
      assert.equal(Number(told.split(" of ")[1]), rows.length, "the table says how many rows there are");
      return rows;
    }
    await older.click();
  }
}

async function download(page, link) {
  const [file] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const text = await readFile(await file.path(), "utf8");
  assert.ok(text.endsWith("\r\n"), "lines end as RFC 4180 says");
  // None of these cells is quoted.
  const [header, ...rows] = text
    .trimEnd()
    .split("\r\n")
    .map((line) => line.split(","));
  return { name: file.suggestedFilename(), header, rows };
}

async function history(page, number, { device, property }, from, to) {
  const path = `/api/v1/lampposts/${number}/series/${device}/${property}`;
  return get(page, `${path}?from=${iso(from)}&to=${iso(to)}`);
}

async function get(page, path) {
  const answer = await page.request.get(path);
  assert.equal(answer.status(), 200, `${path}: ${await answer.text()}`);
  return answer.json();
}

function iso(ms) {
  return new Date(ms).toISOString();
}

/** `21 Nov 2026, 13:05:09`, of Hong Kong. */
function shownTime(time) {
  const day = new Intl.DateTimeFormat("en-HK", {
    timeZone: "Asia/Hong_Kong",
    year: "numeric",
    month: "short",
    day: "numeric",
  }).format(new Date(time));
  return `${day}, ${shownClock(Date.parse(time))}`;
}

/** Hong Kong is eight hours ahead of UTC all year round. */
function shownClock(ms) {
  return iso(ms + 8 * 3_600_000).slice(11, 19);
}

function fieldText(ms) {
  return iso(ms + 8 * 3_600_000).slice(0, 19);
}
