// The stage on which the console is tested: headless Chromium before a real server with fifty real agents.
//
//   import assert from "node:assert/strict";
//   import { axe, scene, shot, tell, until } from "./stage.mjs";
//
//   scene("a lamppost whose chip is unplugged says so", async ({ page }) => {
//     await page.goto("/#/lampposts/KB0007");
//     await tell("break KB0007 chip absent");
//     await page.getByText("The sensor does not answer").first().waitFor();
//     await axe(page);
//     await shot(page, "lamppost-unplugged");
//   });
//
// `cargo test -p hil-tests --test console` plays every `*.test.mjs` here, one after the other;
// `CONSOLE_TESTS=smoke cargo test …` only files with that word in their names.
//
// A scene begins logged in, in a browser context of its own (no cookie, no storage of another scene), and ends with the
// fleet as it was before: whatever it killed is started, whatever it broke is mended. It fails if its function throws,
// and also if the page said anything on its console, threw an error, lost a request or asked another host for
// anything, unless the scene has said with `allow` that this belongs to it.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { connect } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import { launch } from "./chromium.mjs";

/** Milliseconds that a scene has, unless it asks for more. */
const SCENE_MS = 60_000;
/** Milliseconds that an action on the page and `until` wait for what they want. The machine may be busy. */
const PATIENCE_MS = 20_000;
/** Milliseconds within which the fleet is whole again after a scene: agents draw up to a minute before they come back. */
const RESTORES_MS = 150_000;

/**
 * Plays a scene.
 *
 * `play` is given `{ page, context, allow, login, complaints }`:
 * - `page`, `context`: Playwright's, logged in and at `/`; paths such as `page.goto("/#/system")` lead to the server, and
 *   `page.request.get("/api/v1/lampposts")` asks it as the logged-in person does;
 * - `allow(pattern)`: complaints that this RegExp matches belong to the scene, such as
 *   `allow(/net::ERR_/)` where the server is killed;
 * - `complaints()`: what there is to complain of so far and was not allowed;
 * - `login()`: opens the server's present link. After `restart server` the old cookie is worth nothing.
 *
 * `options` are those of Playwright's `browser.newContext` (`viewport`, `colorScheme`, `locale`, `reducedMotion`,
 * `hasTouch`, …) and `timeout` in ms. The default is 1280 by 800, light, en-GB, the time zone of Hong Kong.
 *
 * @param {string} title a sentence about behaviour
 * @param {import("playwright-core").BrowserContextOptions & { timeout?: number } | Play} options
 * @param {Play} [play]
 * @typedef {(stage: {
 *   page: import("playwright-core").Page,
 *   context: import("playwright-core").BrowserContext,
 *   allow: (pattern: RegExp) => void,
 *   login: () => Promise<void>,
 *   complaints: () => string[],
 * }) => Promise<void>} Play
 */
export function scene(title, options, play) {
  if (typeof options === "function") [options, play] = [{}, options];
  const { timeout = SCENE_MS, ...contextOptions } = options;
  // Node.js would leave a scene that it has given up running beside the next one: it is only the last resort.
  test(title, { timeout: timeout + RESTORES_MS + 30_000 }, async (t) => {
    const stage = await open(contextOptions);
    try {
      await within(timeout, async () => {
        await stage.login();
        await play(stage);
      });
    } catch (error) {
      await shot(stage.page, `failed ${title}`).catch(() => {});
      stage.complaints().forEach((complaint) => t.diagnostic(complaint));
      throw error;
    } finally {
      await stage.context.close();
      await tell("restore");
    }
    const complaints = stage.complaints();
    if (complaints.length > 0) throw new Error(`the page complains:\n  ${complaints.join("\n  ")}`);
  });
}

/**
 * Does something to the fleet, and answers when it is done, with the link that logs in then (null while the server is
 * down). What a lamppost is told shows with its next reading, within 2 s.
 *
 * - `kill server`, `start server`, `restart server`: SIGKILL, and a start on the same ports with the same data. The token
 *   is another one then: `login()`.
 * - `map server`: SIGKILL, and a start with a city's own map (`sample.pmtiles`, by "Test city") on the same ports and data.
 * - `kill KB0003`, `start KB0003`: the agent of this one lamppost, which has a process of its own.
 * - `rehouse KB0003`: while its agent does not run, what it has written becomes that of other hardware of the same number.
 * - `certify KB0003`: another certificate is put in the place of its own, for one that was revoked.
 * - `freeze KB0003`, `thaw KB0003`: it keeps its connection, and does nothing (SIGSTOP, SIGCONT).
 * - `break KB0007 chip absent` (or `wrong-id`, `all-zero`, `all-ones`, `stuck`, `frozen`), `break KB0007 particles silent`
 *   (or `bad-sum`, `cut`, `noise`, `all-zero`, `error-code`): its weather-1 or air-1 does not work.
 * - `set KB0008 air_temperature 75`: what is true at that lamppost; beyond 60 °C the catalogue does not believe it.
 * - `mend KB0007`: all that was told to this lamppost is over.
 * - `restore`: everything as it was at the beginning, and connected. Every scene ends with it.
 * - `link`: nothing.
 *
 * @param {string} action
 * @returns {Promise<string | null>} the link
 */
export async function tell(action) {
  return (await ask(action)).link;
}

/**
 * Where lampposts connect to the server, for a scene that connects as something else; and the folder with what they show
 * it: KB0001/KB0001.pem, KB0001.key and ca.pem.
 *
 * @returns {Promise<{ host: string, port: number, certificates: string }>}
 */
export async function lampposts() {
  const { lampposts, certificates } = await ask("link");
  const [host, port] = lampposts.split(":");
  return { host, port: Number(port), certificates };
}

async function ask(action) {
  const path = process.env.LAMPLIGHTER_STAGE;
  if (!path) throw new Error("scenes are played by: cargo test -p hil-tests --test console");
  const socket = connect(path);
  socket.setEncoding("utf8");
  socket.end(`${action}\n`);
  let text = "";
  for await (const part of socket) text += part;
  const answer = JSON.parse(text);
  if (answer.error) throw new Error(`${action}: ${answer.error}`);
  return answer;
}

/**
 * Fails if axe-core finds anything serious or critical: the rule, and each element that breaks it.
 *
 * @param {import("playwright-core").Page} page
 * @param {object} [context] what to look at, as axe.run takes it, such as `{ exclude: ["canvas"] }`; default: all of it
 */
export async function axe(page, context = {}) {
  // Evaluated by the debugger's way in, which no content security policy closes.
  await page.evaluate(await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
  const found = await page.evaluate(async (context) => {
    const whole = Object.keys(context).length === 0;
    const { violations } = await globalThis.axe.run(whole ? document : context, {
      resultTypes: ["violations"],
    });
    return violations.map(({ id, impact, help, nodes }) => ({
      text: `${impact}: ${id}: ${help}`,
      impact,
      nodes: nodes.map((node) => `${node.target.join(" ")}\n      ${node.html.slice(0, 200)}`),
    }));
  }, context);
  const grave = found.filter(({ impact }) => impact === "serious" || impact === "critical");
  if (grave.length === 0) return;
  const lines = grave.map(({ text, nodes }) => [text, ...nodes].join("\n    "));
  throw new Error(`axe-core objects to ${page.url()}:\n  ${lines.join("\n  ")}`);
}

/**
 * Fails if anything is wider than the window, or a dialog larger than it.
 *
 * @param {import("playwright-core").Page} page
 */
export async function fits(page) {
  const [wide, width, sticksOut] = await page.evaluate(() => {
    const { scrollWidth, clientWidth, clientHeight } = document.documentElement;
    const sticksOut = [...document.querySelectorAll("dialog[open]")].some((dialog) => {
      const { left, top, right, bottom } = dialog.getBoundingClientRect();
      const isWide = dialog.scrollWidth > dialog.clientWidth;
      return isWide || left < 0 || top < 0 || right > clientWidth || bottom > clientHeight;
    });
    return [scrollWidth, clientWidth, sticksOut];
  });
  if (wide > width) throw new Error(`the page is ${wide} px wide, the window ${width}`);
  if (sticksOut) throw new Error("the dialog is larger than the window");
}

/**
 * Writes target/screenshots/NAME.png. Moving things are put to their end first.
 *
 * @param {import("playwright-core").Page} page
 * @param {string} name
 * @param {import("playwright-core").PageScreenshotOptions} [options] such as `{ fullPage: true }`
 */
export async function shot(page, name, options = {}) {
  const file = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 80);
  const folder = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
  await page.screenshot({ animations: "disabled", ...options, path: join(folder, `${file}.png`) });
}

/**
 * Asks every 100 ms until the answer is truthy, and returns it. For what is not on the page; for what is, locators wait
 * by themselves.
 *
 * @template T
 * @param {string} what for the message
 * @param {() => Promise<T> | T} ask
 * @param {number} [ms]
 * @returns {Promise<T>}
 */
export async function until(what, ask, ms = PATIENCE_MS) {
  const end = performance.now() + ms;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > end) throw new Error(`waited ${ms} ms in vain for ${what}`);
    await pause(100);
  }
}

/** One browser for all scenes of a file; it is closed with the last of them. */
let browser;
after(() => browser?.close());

async function open(options) {
  browser ??= await launch();
  const origin = new URL(await tell("link")).origin;
  const context = await browser.newContext({
    baseURL: origin,
    viewport: { width: 1280, height: 800 },
    colorScheme: "light",
    locale: "en-GB",
    timezoneId: "Asia/Hong_Kong",
    ...options,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  const complaints = listen(context, origin);
  const allowed = [];
  const page = await context.newPage();
  return {
    page,
    context,
    allow: (pattern) => allowed.push(pattern),
    login: async () => {
      await page.goto(await tell("link"));
    },
    complaints: () => complaints.filter((complaint) => !allowed.some((pattern) => pattern.test(complaint))),
  };
}

/** Notes all that a page should not do, on every page of the context. */
function listen(context, origin) {
  const complaints = [];
  const at = (request) => `${request.method()} ${shown(request.url())}`;
  context.on("console", (message) => {
    // What the graphics driver says of being asked for a picture while it draws without a graphics card.
    if (/GL Driver Message .* GPU stall due to ReadPixels/.test(message.text())) return;
    const { url, lineNumber, columnNumber } = message.location();
    complaints.push(
      `console.${message.type()}: ${message.text()} (${shown(url)}:${lineNumber}:${columnNumber})`,
    );
  });
  context.on("weberror", (error) => complaints.push(`error: ${error.error().stack ?? error.error()}`));
  context.on("requestfailed", (request) => {
    const why = request.failure()?.errorText;
    // The page itself did not want it any more: it was left, or closed its feed.
    if (why !== "net::ERR_ABORTED") complaints.push(`request failed: ${at(request)}: ${why}`);
  });
  context.on("request", (request) => {
    const url = new URL(request.url());
    const own = url.origin === origin || url.protocol === "data:" || url.protocol === "blob:";
    if (!own) complaints.push(`request to another host: ${at(request)}`);
  });
  context.on("page", (page) => {
    page.on("websocket", (socket) => complaints.push(`request to another host: ${socket.url()}`));
    page.on("crash", () => complaints.push("the page crashed"));
  });
  return complaints;
}

/** A link in a log lets nobody in. */
function shown(url) {
  return url.replace(/token=[^&]*/, "token=…");
}

async function within(ms, play) {
  const cut = new AbortController();
  const late = pause(ms, undefined, { signal: cut.signal }).then(
    () => Promise.reject(new Error(`the scene takes longer than ${ms} ms`)),
    () => {},
  );
  try {
    await Promise.race([play(), late]);
  } finally {
    cut.abort();
  }
}
