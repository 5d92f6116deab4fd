// Debian's Chromium, headless: Playwright brings no browser of its own, and nothing is downloaded.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { chromium } from "playwright-core";

/** Starts a browser. */
export async function launch() {
  return chromium.launch({
    executablePath: installed("chromium"),
    args: [
      // The tests' pages are our own, and in a container there is no sandbox to be had.
      "--no-sandbox",
      // Maps are drawn without a graphics card.
      "--use-angle=swiftshader",
      "--enable-unsafe-swiftshader",
      // Nothing leaves this machine, not even the question where another one is.
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
}

function installed(program) {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return join(folder, program);
    } catch {
      // Not in this one.
    }
  }
  throw new Error(`${program} is missing; on Debian: sudo apt-get install -y ${program}`);
}
