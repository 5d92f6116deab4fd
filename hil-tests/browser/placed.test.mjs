// What a lamppost has observed in a run that never learnt the time: its page says between what that lay.

import assert from "node:assert/strict";
import { axe, scene, shot, until } from "./stage.mjs";

const MINUTE_MS = 60_000;

scene(
  "observations whose times are uncertain are told with what they lie between, in both languages",
  { timeout: 90_000 },
  async ({ page, context }) => {
    const now_ms = Date.now();
    const { from, to, earliest, latest } = await placed(context, "KB0014", now_ms);
    const range = { from: iso(now_ms - MINUTE_MS), to: iso(now_ms) };
    await page.goto(`/#/lampposts/KB0014?${new URLSearchParams(range)}`);
    const runs = page.getByText("1 run of the agent in this range never learnt the time");
    await runs.click();
    const bounds = `Time uncertain: between ${shown(earliest)} and ${shown(latest)}`;
    await page.getByText(`Shown from ${shown(from)} to ${shown(to)}. ${bounds}`).waitFor();

    const air = page.getByRole("article", { name: "Air temperature, weather-1", exact: true });
    const cursor = air.getByRole("slider");
    await air.and(page.locator('[data-phase="ready"]')).waitFor();
    await air.getByText(/^\d+ observations/).waitFor();
    await cursor.focus();
    await page.keyboard.press("End");
    await air.locator(".readout").getByText(bounds).waitFor();
    assert.ok((await cursor.getAttribute("aria-valuetext")).includes(bounds), "it is read out too");
    await shot(page, "lamppost-placed");

    await air.getByRole("button", { name: "Table" }).click();
    await air.getByRole("row").nth(1).getByText(bounds).waitFor();
    await axe(page);
    await page.emulateMedia({ colorScheme: "dark" });
    await page.getByRole("button", { name: "中文" }).click();
    await page
      .getByText(/^時間存疑：介乎 .* 與 .* 之間/)
      .first()
      .waitFor();
    await axe(page);
    await page.getByRole("heading", { name: "歷史" }).scrollIntoViewIfNeeded();
    await shot(page, "lamppost-placed-chinese");
  },
);

/**
 * As if the run that this lamppost is in had never learnt the time, and had ended since: what the server would tell of it
 * then. It waits until all of it is stored that is older than `now_ms`, for the live feed tells it as it is.
 */
async function placed(context, number, now_ms) {
  const outboxes = `/api/v1/lampposts/${number}/outboxes`;
  const series = `/api/v1/lampposts/${number}/series/weather-1/air_temperature`;
  const { runs } = await (await context.request.get(outboxes)).json();
  const from = Date.parse(runs[0].opened);
  const [to, earliest, latest] = [MINUTE_MS, -30 * MINUTE_MS, 30 * MINUTE_MS].map((ms) => now_ms + ms);
  await until("what has been read by now to be stored", async () => {
    const newer = new URLSearchParams({ from: iso(now_ms), to: iso(latest), limit: "1" });
    return (await (await context.request.get(`${series}?${newer}`)).json()).observations.length > 0;
  });
  await changed(context, outboxes, (document) => {
    const placed_between = { earliest: iso(earliest), latest: iso(latest) };
    Object.assign(document.runs[0], { ended: iso(to), ended_known: false, placed_between });
  });
  await changed(context, series, (document) => {
    for (const observation of document.observations) {
      Object.assign(observation, { quality: "uncertain", reason: "clock-unsure" });
    }
  });
  return { from, to, earliest, latest };
}

/** The page is told another document than the server tells. */
async function changed(context, path, change) {
  await context.route(
    (url) => url.pathname === path,
    async (route) => {
      const answer = await route.fetch();
      const document = await answer.json();
      change(document);
      await route.fulfill({ response: answer, json: document });
    },
  );
}

function iso(ms) {
  return new Date(ms).toISOString();
}

/** A time as the console writes it in English, by the city's clocks. */
function shown(ms) {
  return new Intl.DateTimeFormat("en-HK", {
    timeZone: "Asia/Hong_Kong",
    year: "numeric",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
  }).format(ms);
}
