// Every page in both languages, light and dark, on a desk and on a phone: nobody is shut out, nothing is cut off, nothing
// is left without words. The pictures are in target/screenshots, for whoever wants to look.

import assert from "node:assert/strict";

import { axe, scene, shot, tell, until } from "./stage.mjs";

const LANGUAGES = [
  { code: "en", button: "EN" },
  { code: "zh-Hant", button: "中文" },
];
const THEMES = ["light", "dark"];
const SIZES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

/** The map is there and drawn: its picture is that of two looks ago, and not that of an empty field. */
async function mapped(page) {
  const map = page.locator("main canvas").first();
  await map.waitFor();
  let [before, shown] = ["", ""];
  await until("the map to be drawn", async () => {
    [before, shown] = [shown, (await map.screenshot()).toString("base64")];
    return shown === before && shown.length > 20_000;
  });
}

async function listed(page) {
  await page.getByText("KB0001").first().waitFor();
}

async function charted(page) {
  await page.locator('article[data-phase="ready"] canvas').first().waitFor();
}

/** Name, path, when the page is ready, when it is in new colours; `allow` is what it complains of rightly. */
const SCREENS = [
  { name: "city", path: "/#/", ready: mapped, drawn: mapped },
  { name: "city-map", path: "/#/?view=map", ready: mapped, drawn: mapped },
  { name: "city-table", path: "/#/?view=table", ready: listed },
  {
    name: "lamppost",
    path: "/#/lampposts/KB0007",
    ready: (page) => page.getByText("KB0007").first().waitFor(),
  },
  {
    name: "history",
    path: "/#/lampposts/KB0008?range=15m",
    ready: async (page) => {
      await page.locator("article").first().waitFor();
      await page
        .locator("article")
        .first()
        .evaluate((chart) => chart.scrollIntoView({ block: "center" }));
      await charted(page);
    },
  },
  {
    name: "chart-table",
    path: "/#/lampposts/KB0007?range=15m&wide=weather-1/air_temperature",
    ready: async (page) => {
      const first = page.locator("article").first();
      await first.scrollIntoViewIfNeeded();
      await first.and(page.locator('[data-phase="ready"]')).waitFor();
      if ((await first.getByRole("table").count()) === 0) {
        await first.getByRole("group").getByRole("button").first().click();
      }
      await first.getByRole("table").waitFor();
      await first.evaluate((chart) => chart.scrollIntoView({ block: "center" }));
    },
  },
  {
    name: "departments",
    path: "/#/departments",
    before: withDepartment,
    ready: (page) => page.getByRole("table").first().waitFor(),
  },
  {
    name: "enrolment",
    path: "/#/enrolment",
    ready: (page) => page.locator("tr[data-token]").first().waitFor(),
  },
  {
    name: "certificates",
    path: "/#/certificates?show=all",
    ready: (page) => page.locator("tr[data-serial]").first().waitFor(),
  },
  {
    name: "connections",
    path: "/#/connections",
    ready: (page) => page.locator("tr[data-lamppost]").first().waitFor(),
  },
  { name: "system", path: "/#/system", ready: (page) => page.getByRole("meter").first().waitFor() },
  {
    name: "locked",
    path: "/#/",
    before: (context) => context.clearCookies(),
    allow: /401 \(Unauthorized\)/,
    ready: (page) => page.getByRole("status").getByRole("heading").waitFor(),
  },
  { name: "unknown", path: "/#/no/such/page", ready: (page) => page.getByText("/no/such/page").waitFor() },
  {
    name: "missing",
    path: "/#/lampposts/XX9999",
    allow: /404 \(Not Found\)/,
    ready: (page) => page.getByRole("heading", { name: "XX9999" }).waitFor(),
  },
  {
    // Registered, and never heard: none of the fleet is. The answers are the server's for such a lamppost.
    name: "never",
    path: "/#/lampposts/KB0050",
    before: neverHeard,
    ready: (page) => page.getByText("edge-agent run").waitFor(),
  },
];

for (const [size, context] of Object.entries(SIZES)) {
  scene(`every page can be read on a ${size}`, { ...context, timeout: 400_000 }, async (stage) => {
    await tell("break KB0007 chip absent");
    await tell("set KB0008 air_temperature 75");
    await stage.page.request.post("/api/v1/tokens?lamppost=KB0009");
    const found = [];
    for (const screen of SCREENS) {
      if (screen.allow) stage.allow(screen.allow);
      await screen.before?.(stage.context);
      // A change of the fragment alone would keep the page before.
      await stage.page.goto("about:blank");
      await stage.page.goto(screen.path);
      await screen.ready(stage.page);
      const texts = {};
      for (const language of LANGUAGES) {
        await stage.page.getByRole("button", { name: language.button, exact: true }).click();
        await stage.page.locator(`html[lang="${language.code}"]`).waitFor();
        await screen.ready(stage.page);
        for (const theme of THEMES) {
          await stage.page.locator("header select").selectOption(theme);
          await stage.page.locator(`html[data-theme="${theme}"]`).waitFor();
          await screen.drawn?.(stage.page);
          const name = `${screen.name} ${theme} ${language.code} ${size}`;
          await shot(stage.page, name);
          await sound(stage.page).catch((error) => found.push(`${name}: ${error.message}`));
        }
        texts[language.code] = await textsOf(stage.page);
      }
      const same = texts["en"].filter((text) => texts["zh-Hant"].includes(text));
      const untold = same.filter((text) => isEnglish(text));
      if (untold.length > 0) found.push(`${screen.name} ${size}: not in Chinese: ${untold.join(" | ")}`);
      await stage.page.getByRole("button", { name: "EN", exact: true }).click();
      if (screen.name === "locked") await stage.login();
    }
    await stage.context.unrouteAll({ behavior: "ignoreErrors" });
    assert.equal(found.join("\n\n"), "");
  });
}

/** At 200 % a desk's browser has half as many pixels; at 400 % it is as narrow as WCAG asks for. */
scene(
  "at 200 % everything can be reached by the keyboard and is seen when it is",
  { viewport: { width: 640, height: 400 }, timeout: 120_000 },
  async ({ page, context }) => {
    for (const { name, path, before, ready } of SCREENS.filter(({ name }) =>
      ["city", "city-table", "lamppost", "certificates", "connections", "departments", "system"].includes(name),
    )) {
      await before?.(context);
      await page.goto("about:blank");
      await page.goto(path);
      await ready(page);
      await shot(page, `${name} zoom 200`);
      await within(page);
      const hidden = [];
      for (let press = 0; press < 60; press += 1) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(seen);
        if (at === null) break;
        if (!at.visible) hidden.push(at.text);
      }
      assert.deepEqual(hidden, [], `${name}: focus that nobody sees`);
      await page.setViewportSize({ width: 320, height: 256 });
      await shot(page, `${name} zoom 400`);
      await within(page);
      await page.setViewportSize({ width: 640, height: 400 });
    }
  },
);

/** What has the focus, and whether any of it is to be seen; null: the page's end. In the page. */
function seen() {
  const element = document.activeElement;
  if (element === null || element === document.body) return null;
  const { left, top, width, height } = element.getBoundingClientRect();
  const text = `${element.tagName} ${element.getAttribute("aria-label") ?? element.innerText ?? ""}`.slice(
    0,
    80,
  );
  // Points of a grid over it: one that is not covered is enough (WCAG 2.2, 2.4.11).
  for (const across of [0.1, 0.5, 0.9]) {
    for (const down of [0.1, 0.5, 0.9]) {
      const hit = document.elementFromPoint(left + width * across, top + height * down);
      if (hit !== null && (element.contains(hit) || hit.contains(element))) return { text, visible: true };
    }
  }
  return { text, visible: false };
}

async function sound(page) {
  const wrong = [];
  const note = (check) => check(page).catch((error) => wrong.push(error.message));
  await note(axe);
  await note(within);
  await note(worded);
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
}

/** Nothing is wider than the window. */
async function within(page) {
  const {
    page: wide,
    window: width,
    by,
  } = await page.evaluate(() => ({
    page: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
    by: [...document.querySelectorAll("body *")]
      .filter((one) => one.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
      .slice(0, 5)
      .map((one) => one.outerHTML.slice(0, 100)),
  }));
  assert.ok(wide <= width, `the page is ${wide} px wide, the window ${width}, by ${by.join("\n  ")}`);
}

/** No key of a text, no parameter that was not filled in, nothing that is not a number, and no control without words. */
async function worded(page) {
  const found = await page.evaluate(() => {
    const raw =
      /\b(app|nav|language|theme|link|access|problem|unknown|status|quality|reason|statistic|age|value|unit|city|departments|enrolment|lamppost|system)\.[a-z0-9_-]+(\.[a-z0-9_-]+)*\b|\{\w+\}|undefined|\bNaN\b|\[object|Invalid Date/;
    const wrong = [];
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      if (raw.test(texts.currentNode.data)) wrong.push(texts.currentNode.data.trim());
    }
    const spoken = ["aria-label", "aria-valuetext", "title", "placeholder", "alt"];
    for (const element of document.querySelectorAll("body *")) {
      for (const name of spoken) {
        const text = element.getAttribute(name);
        if (text !== null && (text.trim() === "" || raw.test(text))) wrong.push(`${name}="${text}"`);
      }
      const shown = element.checkVisibility({ visibilityProperty: true });
      const names = element.matches(
        "h1,h2,h3,button,a,summary,dt,dd,th,caption,label,option,legend,figcaption",
      );
      const told = element.textContent.trim() !== "" || spoken.some((name) => element.hasAttribute(name));
      if (shown && names && !told) wrong.push(`empty: ${element.outerHTML.slice(0, 120)}`);
    }
    return wrong;
  });
  assert.deepEqual(found, []);
}

/** All texts that are to be seen or heard, without what is a name in code. */
async function textsOf(page) {
  return page.evaluate(() => {
    const all = new Set();
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (texts.nextNode()) {
      const element = texts.currentNode.parentElement;
      if (element.closest("code, kbd, noscript, header [lang]") === null)
        all.add(texts.currentNode.data.trim());
    }
    for (const element of document.querySelectorAll("body :not(header [lang])")) {
      for (const name of ["aria-label", "title", "placeholder"]) all.add(element.getAttribute(name) ?? "");
    }
    return [...all];
  });
}

/** What is said alike in both languages is a name of the fleet or of the register, a number, a sign, or a mistake. */
function isEnglish(text) {
  const names =
    /Lamplighter|lamplighter-agent|[A-Z]{2}\d{4}|KB-[A-Z]\d+|rig-|weather-1|air-1|^agent$|bme280|pms5003|PM\d+(\.\d)?|GSHHG|CSV|EN|KiB|[kMG]B|hPa|ppb|ppm|dB|ms|m\/s|MapLibre|openapi\.json|metrics|api/g;
  const places = /[A-Z]\w+( [A-Z]\w+)* (Road|Street|Bypass)|Kowloon Bay|Kwun Tong/g;
  // What the register says of a lamppost is in whatever language it was written.
  const remarks = "sample position, not from the city's register";
  const hashes = /[0-9a-f]{16,}/g;
  if (text === remarks) return false;
  return /[A-Za-z]{3,}/.test(text.replaceAll(hashes, "").replaceAll(places, "").replaceAll(names, ""));
}

/** A department with keys and grants, as the server would list it: a name is given once, and these pages are seen twice. */
async function withDepartment(context) {
  const created = "2026-07-01T08:00:00.000Z";
  const key = { id: 1, note: "交通燈", created, expires: null, is_expired: false };
  const old = { ...key, id: 2, note: null, expires: "2026-07-02T08:00:00.000Z", is_expired: true };
  const grants = [
    { id: 1, filter: "highway/traffic/#", created },
    { id: 2, filter: "highway/+/+/+/air_temperature", created },
  ];
  const json = { departments: [{ name: "traffic", title: "運輸署", created, keys: [key, old], grants }] };
  await context.route("**/api/v1/departments", (route) => route.fulfill({ json }));
}

/** What the server tells of a lamppost that is in the register alone. */
async function neverHeard(context) {
  const path = "/api/v1/lampposts/KB0050";
  await context.route(
    (url) => url.pathname.startsWith(path),
    async (route) => {
      const url = new URL(route.request().url());
      const answer = await route.fetch();
      const document = await answer.json();
      if (url.pathname === path) {
        const state = {
          ...document.state,
          status: "never",
          since: null,
          quality: null,
          bad: 0,
          uncertain: 0,
        };
        Object.assign(document, { report: null, connection: null, last_acknowledged: null, backlog: null });
        Object.assign(document, { state: { ...state, last_observation: null }, shortest_period_ms: null });
      } else if (url.pathname.endsWith("/latest")) document.latest = [];
      else if (url.pathname.endsWith("/series")) document.series = [];
      await route.fulfill({ response: answer, json: document });
    },
  );
  // Nothing of it is told later.
  await context.addInitScript(() => {
    globalThis.EventSource = class extends EventTarget {
      constructor() {
        super();
        const data = JSON.stringify({ time_ms: Date.now() });
        setTimeout(() => this.dispatchEvent(new MessageEvent("time", { data })));
      }
      close() {}
    };
  });
}
