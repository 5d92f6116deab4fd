// What a lamppost has observed in a run that never learnt the time: its page says between what that lay.

import assert from "node:assert/strict";
import { axe, scene, shot } from "./stage.mjs";

const MINUTE_MS = 60_000;

scene(
  "observations whose times are uncertain are told with what they lie between, in both languages",
  { timeout: 90_000 },
  async ({ page, context }) => {
    const { from, earliest, latest } = await placed(context, "KB0014");
    const range = { from: new Date(Date.now() - MINUTE_MS).toISOString(), to: new Date().toISOString() };
    await page.goto(`/#/lampposts/KB0014?${new URLSearchParams(range)}`);
    const runs = page.getByText("1 run of the agent in this range never learnt the time");
    await runs.click();
    const bounds = `Time uncertain: between ${shown(earliest)} and ${shown(latest)}`;
    await page.getByText(`Shown from ${shown(from)} to ${shown(latest)}. ${bounds}`).waitFor();

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

/** As if the run that this lamppost is in had never learnt the time: what the server would tell of it then. */
async function placed(context, number) {
  const path = `/api/v1/lampposts/${number}/outboxes`;
  const { runs } = await (await context.request.get(path)).json();
  const from = Date.parse(runs[0].opened);
  const [earliest, latest] = [from - 30 * MINUTE_MS, Date.now() + 30 * MINUTE_MS];
  await context.route(
    (url) => url.pathname === path,
    async (route) => {
      const answer = await route.fetch();
      const document = await answer.json();
      document.runs[0].placed_between = {
        earliest: new Date(earliest).toISOString(),
        latest: new Date(latest).toISOString(),
      };
      await route.fulfill({ response: answer, json: document });
    },
  );
  return { from, earliest, latest };
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
