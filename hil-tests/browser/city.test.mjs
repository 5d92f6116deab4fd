// The City page: all lampposts, as a map and as a table that show the same.

import assert from "node:assert/strict";
import { axe, scene, shot, tell, until } from "./stage.mjs";
import {
  cellSays,
  city,
  drawn,
  isDrawn,
  loads,
  middleOf,
  numbers,
  placeOf,
  pointedAt,
  says,
  symbols,
  WIDE,
} from "./city.mjs";

/** Room enough for fifty symbols beside each other. */
const LARGE = { viewport: { width: 1600, height: 1200 } };

const NUMBERS = Array.from({ length: 50 }, (_, place) => `KB${String(place + 1).padStart(4, "0")}`);

scene(
  "fifty lampposts appear on the map, and each says its number when pointed at",
  { ...LARGE, timeout: 120_000 },
  async ({ page }) => {
    const { link, map, status, summary, view } = city(page);
    await says(link, /^Live$/);
    await says(summary, /^50 lampposts$/);
    await status("Reporting", 50).waitFor();
    await view("Map").click();
    await map.waitFor();
    await page.getByRole("button", { name: "Show all" }).click();
    await drawn(page, "--reporting", 50);
    const found = await pointedAt(page, "--reporting");
    assert.deepEqual([...found.keys()].sort(), NUMBERS);
    await shot(page, "city-map");
  },
);

scene("fifty lampposts appear in the table, and each of them reports", async ({ page }) => {
  const { rows, status, summary, table, view } = city(page);
  await view("Table").click();
  await says(summary, /^50 lampposts$/);
  await status("Reporting", 50).waitFor();
  assert.equal(await table.getAttribute("aria-rowcount"), "51", "fifty, and the heads");
  // Rows exist while they are in sight: each is looked at.
  await rows.first().getByRole("gridcell").nth(3).click();
  const seen = new Map();
  for (let steps = 0; steps < 20 && seen.size < 50; steps += 1) {
    for (const text of await rows.allInnerTexts()) {
      const [, number, rest] = /^(KB\d{4})\s+(.*)$/s.exec(text);
      seen.set(number, rest);
    }
    await page.keyboard.press("PageDown");
  }
  assert.deepEqual([...seen.keys()].sort(), NUMBERS);
  for (const [number, text] of seen) assert.match(text, /^Reporting\s+Good\s.*(now|[0-9] s ago)$/s, number);
  await axe(page);
  await shot(page, "city-table");
});

scene(
  "an unplugged chip is bad, and has no value and a reason; all is well when it is mended",
  async ({ page }) => {
    const { card, colour, row, view } = city(page);
    const loaded = loads(page);
    await view("Table").click();
    await cellSays(page, "KB0007", "Quality", /^Good$/);
    await tell("break KB0007 chip absent");
    await cellSays(page, "KB0007", "Quality", /^Bad ?×\d$/);
    await cellSays(page, "KB0007", "Status", /^Reporting$/);
    await colour.selectOption({ label: "Air temperature" });
    await cellSays(page, "KB0007", "Air temperature", /no value.*The sensor does not answer$/);
    await cellSays(page, "KB0006", "Air temperature", /^-?\d+\.\d\d °C$/);
    await axe(page);
    await shot(page, "city-table-bad");
    await row("KB0007").getByText("Reporting").click();
    await view("Map").click();
    await says(card, /Air temperature.*no value.*The sensor does not answer.*Quality.*Bad/);
    await tell("mend KB0007");
    await says(card, /Air temperature\s*-?\d+\.\d\d °C.*Quality\s*Good/);
    await view("Table").click();
    await cellSays(page, "KB0007", "Quality", /^Good$/);
    await cellSays(page, "KB0007", "Air temperature", /^-?\d+\.\d\d °C$/);
    assert.deepEqual(loaded, [], "all of it came by itself");
  },
);

scene(
  "a value that nobody believes is uncertain, and says why; it is good when it is mended",
  async ({ page }) => {
    const { colour, row, view } = city(page);
    const loaded = loads(page);
    await view("Table").click();
    await colour.selectOption({ label: "Air temperature" });
    await cellSays(page, "KB0008", "Air temperature", /^-?\d+\.\d\d °C$/);
    await tell("set KB0008 air_temperature 75");
    await cellSays(page, "KB0008", "Quality", /^Uncertain ?×1$/);
    await cellSays(
      page,
      "KB0008",
      "Air temperature",
      /^Uncertain 75\.00 °C Outside of the range that is believed$/,
    );
    assert.ok(await row("KB0008").getByTitle("Outside of the range that is believed").isVisible());
    const cut = await row("KB0008").evaluate((row) =>
      [...row.cells].filter((cell) => cell.scrollWidth > cell.clientWidth).map((cell) => cell.innerText),
    );
    assert.deepEqual(cut, [], "no cell is cut off");
    await shot(page, "city-table-uncertain");
    await tell("mend KB0008");
    await cellSays(page, "KB0008", "Quality", /^Good$/);
    await cellSays(page, "KB0008", "Air temperature", /^-?\d+\.\d\d °C$/);
    assert.deepEqual(loaded, [], "all of it came by itself");
  },
);

scene(
  "by keyboard alone lampposts are searched, filtered, sorted, selected and opened",
  { timeout: 90_000 },
  async ({ page }) => {
    const { card, rows, row, search, status, summary, table } = city(page);
    const { press, type } = keyboard(page);
    await says(summary, /^50 lampposts$/);
    await tell("kill KB0003");
    await status("Offline", 1).waitFor();

    await press("Tab");
    await focused(page, page.getByRole("link", { name: "Skip to content" }));
    await press("Enter");
    await focused(page, page.getByRole("main"));

    await press("/");
    await focused(page, search);
    await type("kai cheung");
    await says(summary, /^5 of 50 lampposts$/);
    await press("Escape");
    await says(summary, /^50 lampposts$/);

    await tabTo(page, status("Offline"));
    await press("Space");
    await says(summary, /^1 of 50 lampposts$/);
    assert.deepEqual(await numbers(rows), ["KB0003"]);
    await press("Space");
    await says(summary, /^50 lampposts$/);

    const road = table.getByRole("columnheader", { name: "Road" });
    await tabTo(page, road.getByRole("button"));
    await press("Enter");
    assert.equal(await road.getAttribute("aria-sort"), "ascending");
    await says(rows.first(), /Kai Cheung Road/);
    await press("Enter");
    assert.equal(await road.getAttribute("aria-sort"), "descending");
    await says(rows.first(), /Wang Tai Road/);
    await page.keyboard.press("Shift+Tab");
    await page.keyboard.press("Shift+Tab");
    const byStatus = table.getByRole("columnheader", { name: "Status" });
    await focused(page, byStatus.getByRole("button"));
    await press("Enter");
    assert.equal(await byStatus.getAttribute("aria-sort"), "descending");
    await says(rows.first(), /^\s*KB0003\s*Offline/);
    await tabTo(page, table.getByRole("columnheader", { name: "Number" }).getByRole("button"), "Shift+Tab");
    await press("Enter");
    await says(rows.first(), /^\s*KB0001/);

    await press("/");
    await press("ArrowDown");
    await onRow(page, "KB0001");
    await press("ArrowDown");
    await onRow(page, "KB0002");
    await press("End");
    await onRow(page, "KB0050");
    await press("ArrowDown");
    await onRow(page, "KB0050");
    await press("PageUp");
    const high = await rowOfFocus(page);
    assert.ok(high < 47 && high > 20, `a page above KB0050 is KB00${high}`);
    await press("Home");
    await onRow(page, "KB0001");
    await press("PageDown");
    const low = await rowOfFocus(page);
    assert.ok(low > 5 && low < 30, `a page below KB0001 is KB00${low}`);
    await press("Home");
    await press("ArrowDown");
    await press("ArrowDown");
    await press("ArrowDown");
    await press("ArrowUp");
    await onRow(page, "KB0003");

    await press("Space");
    await says(card, /KB0003\s*Offline/);
    assert.equal(await row("KB0003").getAttribute("aria-selected"), "true");
    await press("Escape");
    await card.waitFor({ state: "detached" });
    assert.equal(await row("KB0003").getAttribute("aria-selected"), "false");
    await onRow(page, "KB0003");
    await press("Space");
    await card.waitFor();
    await press("Enter");
    await page.getByRole("heading", { level: 1, name: /KB0003/ }).waitFor();
  },
);

scene("every control is reached by Tab, and where the focus is can be seen", async ({ page }) => {
  const { card, colour, legend, map, row, status } = city(page);
  await colour.selectOption({ label: "Air temperature" });
  await status("Reporting").click();
  await row("KB0005").getByText("Reporting").click();
  await card.waitFor();
  await map.waitFor();
  await legend.waitFor();
  await page.evaluate(() => {
    const all = "a[href], button:enabled, select:enabled, input:enabled, summary, canvas, tr[tabindex='0']";
    globalThis.controls = new Set(
      [...document.querySelectorAll(all)].filter((one) => one.checkVisibility() && one.tabIndex === 0),
    );
    document.activeElement.blur();
    getSelection().removeAllRanges();
  });
  const poor = [];
  const order = [];
  for (let steps = 0; steps < 80; steps += 1) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const focused = document.activeElement;
      if (focused === document.body) return null;
      globalThis.controls.delete(focused);
      const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(focused);
      const { left, top, right, bottom } = focused.getBoundingClientRect();
      return {
        name: `${focused.localName} ${focused.getAttribute("aria-label") ?? focused.textContent.trim().slice(0, 40)}`,
        isSeen:
          outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 2 && !/, 0\)$/.test(outlineColor),
        isInSight: right > 0 && bottom > 0 && left < innerWidth && top < innerHeight,
      };
    });
    if (at === null) break;
    order.push(at.name);
    if (!at.isSeen || !at.isInSight) poor.push(at);
  }
  const missed = await page.evaluate(() =>
    [...globalThis.controls].map((one) => one.outerHTML.slice(0, 200)),
  );
  assert.deepEqual(missed, [], `never reached; those reached are:\n${order.join("\n")}`);
  assert.deepEqual(poor, []);
});

scene(
  "what is selected on the map is selected in the table, and the other way around",
  { ...LARGE, timeout: 120_000 },
  async ({ page }) => {
    const { card, map, row, rows } = city(page);
    await drawn(page, "--reporting", 45, 50);
    const places = await pointedAt(page, "--reporting");
    const [number, place] = [...places].find(([number]) => number > "KB0040");
    await page.mouse.click(place.x, place.y);
    await says(card, new RegExp(`${number}\\s*Reporting`));
    await says(row(number), /Reporting/);
    assert.equal(await row(number).getAttribute("aria-selected"), "true");
    await inSight(page, row(number));
    await axe(page);
    await shot(page, "city-selected-on-map");

    await page.getByRole("button", { name: "Close" }).click();
    await card.waitFor({ state: "detached" });
    assert.equal(await row(number).getAttribute("aria-selected"), "false");

    const other = await rows.nth(3).getByRole("gridcell").first().innerText();
    await rows.nth(3).getByText("Reporting").click();
    await says(card, new RegExp(`${other}\\s*Reporting`));
    assert.equal(await row(other).getAttribute("aria-selected"), "true");
    const middle = await middleOf(map);
    await until(`${other} with its ring in the middle of the map`, async () => {
      return (await isDrawn(page, "--reporting", middle)) && (await isDrawn(page, "--accent", middle));
    });
    await page.mouse.click(middle.x, middle.y);
    await says(card, new RegExp(`${other}\\s*Reporting`));
    await card.getByRole("link", { name: "Open lamppost" }).click();
    await page.getByRole("heading", { level: 1, name: new RegExp(other) }).waitFor();
  },
);

scene("in the dark all of it can be read", { ...WIDE, colorScheme: "dark" }, async ({ page }) => {
  const { card, colour, legend, row } = city(page);
  await tell("break KB0007 chip absent");
  await tell("set KB0008 air_temperature 75");
  await tell("kill KB0003");
  await row("KB0003").getByText("Offline").click();
  await says(card, /KB0003 Offline/);
  await axe(page);
  await colour.selectOption({ label: "Air temperature" });
  await cellSays(page, "KB0007", "Air temperature", /The sensor does not answer/);
  await cellSays(page, "KB0008", "Air temperature", /75\.00 °C/);
  await legend.waitFor();
  await axe(page);
  await shot(page, "city-dark");
});

scene(
  "coloured by an observed property, values and what colours mean are there and live",
  WIDE,
  async ({ page }) => {
    const { card, colour, legend, map, row, search, table } = city(page);
    const loaded = loads(page);
    await map.waitFor();
    await drawn(page, "--reporting", 45, 50);
    await colour.selectOption({ label: "Air temperature" });
    await drawn(page, "--reporting", 0);
    await row("KB0008").getByText("Reporting").click();
    await says(legend, /Air temperature.*°C/);
    await says(legend, /≥ -?\d/);
    await says(legend, /Uncertain.*Late, offline or no value/);
    await cellSays(page, "KB0008", "Air temperature", /^-?\d+\.\d\d °C$/);
    await shot(page, "city-coloured");
    const before = await legend.innerText();

    await tell("set KB0008 air_temperature 31.5");
    await cellSays(page, "KB0008", "Air temperature", /^31\.5\d °C$/);
    await says(card, /Air temperature\s*31\.5\d °C/);
    assert.equal(await legend.innerText(), before, "colours keep their meaning");
    await search.fill("KB0008");
    await page.getByRole("button", { name: "Fit to values" }).click();
    await says(legend, /[≥<] 31\.5/);
    await search.fill("");
    await page.getByRole("button", { name: "Fit to values" }).click();
    await says(legend, /≥ (-?\d|[12]\d)\.\d/);
    await tell("set KB0008 air_temperature 12.25");
    await cellSays(page, "KB0008", "Air temperature", /^12\.2\d °C$/);

    await colour.selectOption({ label: "Relative humidity" });
    await says(legend, /Relative humidity.*%/);
    await cellSays(page, "KB0008", "Relative humidity", /^\d+\.?\d*\s?%$/);
    assert.equal(await table.getByText("°C").count(), 0, "nothing of it is left");
    await colour.selectOption({ label: "Status" });
    await legend.waitFor({ state: "detached" });
    await page.getByRole("columnheader", { name: "Relative humidity" }).waitFor({ state: "detached" });
    assert.deepEqual(loaded, [], "all of it came by itself");
  },
);

scene(
  "lampposts are found by number, road and district, on the map too",
  { ...LARGE, timeout: 120_000 },
  async ({ page }) => {
    const { main, map, rows, search, summary } = city(page);
    await drawn(page, "--reporting", 45, 50);
    await search.fill("kb0042");
    await says(summary, /^1 of 50 lampposts$/);
    assert.deepEqual(await numbers(rows), ["KB0042"]);
    await drawn(page, "--reporting", 1);
    await page.getByRole("button", { name: "Show all" }).click();
    await until("it to be in the middle of the map", async () => {
      return isDrawn(page, "--reporting", await middleOf(map));
    });
    await search.fill("WAI YIP");
    await says(summary, /^5 of 50 lampposts$/);
    for (const text of await rows.allInnerTexts()) assert.match(text, /Wai Yip Street/);
    await search.fill("tong 0041 yip");
    await says(summary, /^1 of 50 lampposts$/);
    await search.fill("");
    await page.getByRole("combobox", { name: "District" }).selectOption("Kwun Tong");
    await says(summary, /^50 lampposts$/);
    await page.getByRole("combobox", { name: "Road" }).selectOption("Lam Hing Street");
    await says(summary, /^5 of 50 lampposts$/);
    for (const text of await rows.allInnerTexts()) assert.match(text, /Lam Hing Street/);
    await page.getByRole("button", { name: "Show all" }).click();
    await drawn(page, "--reporting", 5);
    await page.getByRole("combobox", { name: "Quality" }).selectOption("Bad");
    await says(summary, /^0 of 50 lampposts$/);

    await main.getByRole("heading", { name: "No lamppost matches" }).waitFor();
    assert.equal((await symbols(page, "--reporting")).length, 0);
    await axe(page);
    await shot(page, "city-none");
    await page.getByRole("grid").locator("..").getByRole("button", { name: "Reset filters" }).click();
    await says(summary, /^50 lampposts$/);
    await page.getByRole("button", { name: "Show all" }).click();
    await drawn(page, "--reporting", 45, 50);
    assert.equal(await page.getByRole("combobox", { name: "Road" }).inputValue(), "");
  },
);

scene(
  "what the filters leave out is gone from the map as well, which says so, goes to what is left, and ends the filter",
  { ...LARGE, timeout: 180_000 },
  async ({ page }) => {
    const { card, map, main, row, search, status, summary, view } = city(page);
    const shown = main.getByText(/^\d+ of \d+ shown/);
    await drawn(page, "--reporting", 45, 50);
    assert.equal(await shown.count(), 0, "all are shown");
    await tell("kill KB0003");
    await status("Offline", 1).waitFor();
    const place = await placeOf(page, "--offline", "KB0003");

    // The pointer is on it while it goes.
    await page.mouse.move(place.x, place.y);
    const hovered = main.getByRole("strong").filter({ hasText: /^KB0003$/ });
    await hovered.waitFor();
    await page.keyboard.press("/");
    await page.keyboard.type("sheung yuet");
    await says(summary, /^5 of 50 lampposts$/);
    await says(shown, /^5 of 50 shown/);
    await hovered.waitFor({ state: "detached" });
    await drawn(page, "--offline", 0);
    await drawn(page, "--reporting", 5);
    await page.mouse.click(place.x, place.y);
    await page.waitForTimeout(500);
    assert.equal(await card.count(), 0, "what is not drawn is not selected");
    await axe(page);
    await shot(page, "city-map-filtered");

    // A selected one that a filter leaves out says so, and is on the map again when the filter ends.
    const [number] = await numbers(city(page).rows);
    await row(number).getByText("Reporting").click();
    await says(card, new RegExp(`${number} Reporting`));
    await status("Offline").click();
    await search.fill("");
    await says(summary, /^1 of 50 lampposts$/);
    await says(card, /Not shown: it does not match the filters\./);
    await shot(page, "city-map-left-out");
    await page.getByRole("button", { name: "Close" }).click();

    // Far away from what the filter leaves, the map goes there.
    await status("Offline").click();
    const { x, y, width, height } = await map.boundingBox();
    for (let times = 0; times < 2; times += 1) {
      await page.mouse.move(x + 40, y + height / 2);
      await page.mouse.down();
      await page.mouse.move(x + width - 40, y + height / 2, { steps: 5 });
      await page.mouse.up();
    }
    await drawn(page, "--reporting", 0);
    await search.fill("wai yip");
    await drawn(page, "--reporting", 5);
    await view("Map").click();
    await says(shown, /^5 of 50 shown/);
    await shown.getByRole("button", { name: "Reset filters" }).click();
    await says(summary, /^50 lampposts$/);
    await shown.waitFor({ state: "detached" });
    assert.equal(await search.inputValue(), "");
  },
);

scene(
  "in the dark, and on a telephone, the map says how many lampposts the filters leave",
  { viewport: { width: 390, height: 780 }, colorScheme: "dark" },
  async ({ page }) => {
    const { main, map, search, status } = city(page);
    await map.waitFor();
    await search.fill("wai yip");
    await main.getByText(/^5 of 50 shown/).waitFor();
    await status("Reporting", 5).waitFor();
    await drawn(page, "--reporting", 5);
    await axe(page);
    await shot(page, "city-map-filtered-dark");
  },
);

scene(
  "a view has an address: it is there again after a reload, and on the way back from a lamppost",
  WIDE,
  async ({ page }) => {
    const { card, colour, row, rows, search, status, summary, table, view } = city(page);
    await search.fill("street");
    await status("Reporting").click();
    await colour.selectOption({ label: "Relative humidity" });
    await table.getByRole("button", { name: "Road" }).click();
    await table.getByRole("button", { name: "Road" }).click();
    await row("KB0011").getByText("Reporting").click();
    await says(summary, /^10 of 50 lampposts$/);
    const isThere = async () => {
      await says(summary, /^10 of 50 lampposts$/);
      assert.equal(await search.inputValue(), "street");
      assert.equal(await status("Reporting").getAttribute("aria-pressed"), "true");
      assert.equal(await status("Late").getAttribute("aria-pressed"), "false");
      await until(
        "the colours",
        async () => (await colour.locator("option:checked").innerText()) === "Relative humidity",
      );
      assert.equal(
        await table.getByRole("columnheader", { name: "Road" }).getAttribute("aria-sort"),
        "descending",
      );
      await says(rows.first(), /Wai Yip Street/);
      await says(card, /KB0011/);
      assert.equal(await row("KB0011").getAttribute("aria-selected"), "true");
    };
    await isThere();
    const address = await until("the address to have it", () => /KB0011/.test(page.url()) && page.url());
    await page.reload();
    await isThere();
    assert.equal(page.url(), address);

    await row("KB0021").getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: /KB0021/ }).waitFor();
    await page.goBack();
    await isThere();
    assert.equal(page.url(), address);

    await view("Table").click();
    await until("the address to have it", () => page.url() !== address);
    await page.reload();
    await says(summary, /^10 of 50 lampposts$/);
    assert.equal(await view("Table").getAttribute("aria-pressed"), "true");
  },
);

scene(
  "whoever opens a lamppost as fast as they type comes back to what they have typed",
  async ({ page }) => {
    const { rows, search, summary } = city(page);
    await says(summary, /^50 lampposts$/);
    await page.keyboard.press("/");
    await page.keyboard.type("wai yip");
    await page.keyboard.press("Enter");
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { level: 1, name: /KB0001/ }).waitFor();
    await page.goBack();
    await says(summary, /^5 of 50 lampposts$/);
    assert.equal(await search.inputValue(), "wai yip");
    await search.fill("lam hing");
    await rows.first().getByRole("link").click();
    await page.getByRole("heading", { level: 1, name: /KB0005/ }).waitFor();
    await page.goBack();
    await says(summary, /^5 of 50 lampposts$/);
    assert.equal(await search.inputValue(), "lam hing");
  },
);

scene("both languages say all of it, at once and after a reload", WIDE, async ({ page }) => {
  const { colour, row, summary } = city(page);
  const html = page.locator("html");
  const loaded = loads(page);
  await row("KB0008").getByText("Reporting").click();
  await colour.selectOption({ label: "Air temperature" });
  await cellSays(page, "KB0008", "Air temperature", /°C$/);
  assert.equal(await html.getAttribute("lang"), "en");

  await page.getByRole("button", { name: "中文" }).click();
  const isChinese = async () => {
    await page
      .getByRole("main")
      .getByText(/^50 支燈柱$/)
      .first()
      .waitFor();
    assert.match(await html.getAttribute("lang"), /^zh-H/);
    assert.match(await page.title(), /全市/);
    await page.getByRole("searchbox", { name: "搜尋編號、道路、地區" }).waitFor();
    await page.getByRole("button", { name: "正常回報 50" }).waitFor();
    const table = page.getByRole("grid", { name: "燈柱列表" });
    await table.getByRole("columnheader", { name: "氣溫" }).waitFor();
    await says(table.getByRole("row", { name: /^KB0008 / }), /正常回報.*良好.*°C/);
    await page.getByRole("region", { name: "燈柱地圖" }).waitFor();
    await says(page.getByRole("region", { name: "已選取的燈柱" }), /KB0008\s*正常回報/);
    await says(page.getByRole("banner").getByRole("status"), /^即時$/);
    // Names of places are as the register has them.
    const english = await page.getByRole("main").innerText();
    assert.doesNotMatch(english, /\b(Status|Quality|Reporting|Good|Number|Late|ago|now|Any|All)\b/);
  };
  await isChinese();
  assert.deepEqual(loaded, [], "at once");
  await axe(page);
  await shot(page, "city-chinese");
  await page.reload();
  await isChinese();

  await page.getByRole("button", { name: "EN" }).click();
  await says(summary, /^50 lampposts$/);
  assert.equal(await html.getAttribute("lang"), "en");
  await says(row("KB0008"), /Reporting.*Good/s);
});

scene("a browser that speaks Chinese is spoken to in Chinese", { locale: "zh-HK" }, async ({ page }) => {
  await page
    .getByRole("main")
    .getByText(/^50 支燈柱$/)
    .first()
    .waitFor();
  assert.equal(await page.locator("html").getAttribute("lang"), "zh-Hant");
});

function keyboard(page) {
  return { press: (key) => page.keyboard.press(key), type: (text) => page.keyboard.type(text) };
}

/** Waits until this has the focus, in sight. */
async function focused(page, locator) {
  const what = `the focus to be on ${locator}`;
  await until(what, () => locator.evaluate((element) => element === document.activeElement));
  const { y } = await locator.boundingBox();
  assert.ok(y >= 0, "what has the focus is in sight");
}

/** Presses Tab until this has the focus. */
async function tabTo(page, locator, key = "Tab") {
  for (let steps = 0; steps < 60; steps += 1) {
    await page.keyboard.press(key);
    if (await locator.evaluate((element) => element === document.activeElement)) return;
  }
  assert.fail(`${key} never comes to ${locator}`);
}

/** Waits until the row of this lamppost has the focus, and all of it is in sight. */
async function onRow(page, number) {
  await focused(page, city(page).row(number));
  await inSight(page, city(page).row(number));
}

/** Number of the lamppost whose row has the focus. */
async function rowOfFocus(page) {
  const row = page.locator(":focus");
  assert.equal(await row.evaluate((element) => element.localName), "tr");
  await inSight(page, row);
  return Number((await row.getByRole("gridcell").first().innerText()).slice(2));
}

/** All of the row is between the heads and the end of the table's pane. */
async function inSight(page, row) {
  await until("the row to be in sight", async () => {
    const [own, head, pane] = await Promise.all([
      row.boundingBox(),
      page.getByRole("columnheader", { name: "Number" }).boundingBox(),
      page.getByRole("grid").locator("..").boundingBox(),
    ]);
    return own.y >= head.y + head.height - 1 && own.y + own.height <= pane.y + pane.height + 1;
  });
}
