// What people find on the City page, in their words, for the scenes that are played on it.

import { until } from "./stage.mjs";

/** Wide enough for every column beside the map. */
export const WIDE = { viewport: { width: 1900, height: 1000 } };

/** @typedef {import("playwright-core").Page} Page */

/** @param {Page} page */
export function city(page) {
  const main = page.getByRole("main");
  const table = page.getByRole("grid", { name: "Lampposts" });
  const card = page.getByRole("region", { name: "Selected lamppost" });
  return {
    main,
    /** How many there are, or are shown. */
    summary: main.getByText(/^(\d+ of )?\d+ lampposts?$/).first(),
    search: page.getByRole("searchbox", { name: "Search number, road, district" }),
    /** `Late` -> the button that filters by it, and has their count in it. */
    status: (word, count = "\\d+") =>
      page
        .getByRole("group", { name: "Status" })
        .getByRole("button", { name: new RegExp(`^${word} ${count}$`) }),
    view: (word) =>
      page.getByRole("group", { name: "View" }).getByRole("button", { name: word, exact: true }),
    colour: page.getByLabel("Colour by"),
    /** The state of the live link, in the head of every page. */
    link: page.getByRole("banner").getByRole("status"),
    map: page.getByRole("region", { name: "Map of the lampposts" }),
    card,
    legend: main.getByRole("group").filter({ hasText: "Legend" }),
    table,
    /** The row of this lamppost. */
    row: (number) => table.getByRole("row", { name: new RegExp(`^${number} `) }),
    /** All rows that there are: those in sight, and a few more. */
    rows: table.getByRole("row").filter({ hasText: /^KB/ }),
  };
}

/**
 * Waits until this says that, white space of whatever kind taken for a space.
 *
 * @param {import("playwright-core").Locator} locator
 * @param {RegExp} pattern
 * @param {number} [ms]
 */
export async function says(locator, pattern, ms) {
  let last = "";
  const isSaid = async () => {
    last = (await locator.allInnerTexts()).map(plain).join(" / ");
    return pattern.test(last);
  };
  await until(`${locator} to say ${pattern}`, isSaid, ms).catch((error) => {
    throw new Error(`${error.message}: it says ${JSON.stringify(last)}`, { cause: error });
  });
}

function plain(text) {
  return text.replaceAll(/\s+/g, " ").trim();
}

/**
 * Waits until the row of this lamppost says that in the column of this title, and returns what it says.
 *
 * @param {Page} page
 * @param {string} number
 * @param {string} title
 * @param {RegExp} pattern
 * @param {number} [ms]
 */
export async function cellSays(page, number, title, pattern, ms) {
  let last = "";
  const isSaid = async () => pattern.test((last = await cellText(page, number, title)));
  await until(`${title} of ${number} to be ${pattern}`, isSaid, ms).catch((error) => {
    throw new Error(`${error.message}: it is ${JSON.stringify(last)}`, { cause: error });
  });
  return last;
}

async function cellText(page, number, title) {
  const { table, row } = city(page);
  // A column that has no room is not there, for anybody.
  const titles = await table.getByRole("columnheader").allInnerTexts();
  const place = titles.map((text) => text.trim()).indexOf(title);
  if (place === -1) throw new Error(`no column ${title} in ${titles.join(", ")}`);
  return plain(await row(number).getByRole("gridcell").nth(place).innerText());
}

/** The numbers of lampposts that these rows begin with. */
export async function numbers(rows) {
  return (await rows.allInnerTexts()).map((text) => text.trim().slice(0, "KB0001".length));
}

/** Notes every document that the page loads from now on: a page that is not loaded again shows what comes by itself. */
export function loads(page) {
  const loaded = [];
  page.on("load", () => loaded.push(page.url()));
  return loaded;
}

/**
 * The symbols on the map that have this colour of the style sheet, such as "--late": the middle of each, in pixels of the
 * page. What lies over the map is in the picture too.
 *
 * @param {Page} page
 * @param {string} token
 * @returns {Promise<{ x: number, y: number, size: number }[]>}
 */
export async function symbols(page, token) {
  const box = await city(page).map.boundingBox();
  const picture = await page.screenshot({ clip: box });
  const areas = await page.evaluate(areasOf, { png: picture.toString("base64"), token });
  return areas.map(({ x, y, size }) => ({ x: box.x + x, y: box.y + y, size }));
}

/** In the page: connected areas of a colour in a picture. */
async function areasOf({ png, token }) {
  const LEAST = 12;
  const ALIKE = 24;
  const wanted = getComputedStyle(document.documentElement).getPropertyValue(token).trim();
  const channels = [1, 3, 5].map((at) => Number.parseInt(wanted.slice(at, at + 2), 16));
  const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const { width, height } = image;
  const canvas = new OffscreenCanvas(width, height).getContext("2d");
  canvas.drawImage(image, 0, 0);
  const { data } = canvas.getImageData(0, 0, width, height);
  const alike = (at) => channels.every((channel, one) => Math.abs(data[4 * at + one] - channel) < ALIKE);
  const seen = new Uint8Array(width * height);
  const areas = [];
  for (let start = 0; start < width * height; start += 1) {
    if (seen[start] === 1 || !alike(start)) continue;
    let [left, top, right, bottom, size] = [width, height, 0, 0, 0];
    const open = [start];
    seen[start] = 1;
    while (open.length > 0) {
      const at = open.pop();
      const [x, y] = [at % width, Math.floor(at / width)];
      size += 1;
      [left, top, right, bottom] = [
        Math.min(left, x),
        Math.min(top, y),
        Math.max(right, x),
        Math.max(bottom, y),
      ];
      for (const next of [
        x > 0 && at - 1,
        x < width - 1 && at + 1,
        y > 0 && at - width,
        y < height - 1 && at + width,
      ]) {
        if (next === false || seen[next] === 1 || !alike(next)) continue;
        seen[next] = 1;
        open.push(next);
      }
    }
    if (size >= LEAST) areas.push({ x: (left + right + 1) / 2, y: (top + bottom + 1) / 2, size });
  }
  return areas;
}

/**
 * Points at each symbol of this colour, and reads what the map says of it; until it is the wanted one, if one is.
 *
 * @param {Page} page
 * @param {string} token
 * @param {string} [wanted] number of a lamppost
 * @returns {Promise<Map<string, { x: number, y: number }>>} number of a lamppost -> where it is drawn
 */
export async function pointedAt(page, token, wanted) {
  const found = new Map();
  const { map, main } = city(page);
  const hovered = main.getByText(/^KB\d{4}$/).and(main.getByRole("strong"));
  const box = await map.boundingBox();
  for (const { x, y } of await symbols(page, token)) {
    // Away from the last one, so that nothing is read twice.
    await page.mouse.move(box.x + 2, box.y + 2);
    await hovered.waitFor({ state: "detached" });
    await page.mouse.move(x, y);
    const number = await hovered.innerText();
    found.set(number, { x, y });
    if (number === wanted) break;
  }
  await page.mouse.move(box.x + 2, box.y + 2);
  return found;
}

/** Points at symbols of this colour until it is this lamppost's, and returns where that is. */
export async function placeOf(page, token, number) {
  const place = (await pointedAt(page, token, number)).get(number);
  if (place === undefined) throw new Error(`the map has no symbol of ${token} for ${number}`);
  return place;
}

export async function middleOf(locator) {
  const { x, y, width, height } = await locator.boundingBox();
  return { x: x + width / 2, y: y + height / 2 };
}

/** Whether the map draws anything of this colour within so many pixels of a place. */
export async function isDrawn(page, token, { x, y }, within = 9) {
  const all = await symbols(page, token);
  return all.some((one) => Math.hypot(one.x - x, one.y - y) <= within);
}

/** Waits until the map stands still, with so many symbols of this colour; some may be beneath others. */
export async function drawn(page, token, least, most = least) {
  let [last, before] = ["", []];
  await until(`${least} to ${most} symbols of ${token} on the map`, async () => {
    const now = await symbols(page, token);
    const isStill = JSON.stringify(now) === last;
    [last, before] = [JSON.stringify(now), now];
    return isStill && now.length >= least && now.length <= most;
  }).catch((error) => {
    throw new Error(`${error.message}: there are ${before.length}`, { cause: error });
  });
}
