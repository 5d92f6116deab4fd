import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { expect, test } from "vitest";

import { en } from "./en";
import { zhHant } from "./zh-Hant";
import { city } from "./en/city";
import { departments } from "./en/departments";
import { enrolment } from "./en/enrolment";
import { lamppost } from "./en/lamppost";
import { life } from "./en/life";
import { map } from "./en/map";
import { shell } from "./en/shell";
import { system } from "./en/system";

const parameters = (text: string): string[] =>
  [...text.matchAll(/\{(\w+)\}/g)].map((found) => found[1] ?? "").sort();

test("every text names the same parameters in both languages", () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    expect(parameters(zhHant[key]), key).toEqual(parameters(en[key]));
  }
});

test("no text is empty, and Chinese texts are not left in English", () => {
  const wordless = new Set([
    "app.name",
    "app.title",
    "lamppost.timed",
    "lamppost.decision.why",
    "enrolment.token.place",
    "life.places.at",
  ]);
  for (const [key, text] of Object.entries(zhHant)) {
    expect(text.trim(), key).not.toBe("");
    if (!wordless.has(key)) expect(/[\u4e00-\u9fff]/.test(text), `${key}: ${text}`).toBe(true);
  }
});

/** What the page of the city loads with its map. */
const OF_THE_MAP = new Set(["CityMap.svelte", "Card.svelte", "Legend.svelte", "step-texts.ts"]);

test("a page uses its own texts and the shell's: no other ones are loaded with it", () => {
  const pages = { city, departments, enrolment, lamppost, life, system };
  const all = Object.keys(en);
  for (const folder of readdirSync(fileURLToPath(new URL("..", import.meta.url)), { withFileTypes: true })) {
    if (!folder.isDirectory() || folder.name === "messages") continue;
    const path = fileURLToPath(new URL(`../${folder.name}/`, import.meta.url));
    for (const file of readdirSync(path).filter((name) => /(?<!\.test)\.(ts|svelte)$/.test(name))) {
      const source = readFileSync(path + file, "utf8");
      const page = pages[folder.name as keyof typeof pages] ?? {};
      const own = { ...shell, ...page, ...(OF_THE_MAP.has(file) ? map : {}) };
      // Whole keys, and the beginnings of those that end in a variable.
      for (const [, whole, stem] of source.matchAll(
        /"([a-z_]+(?:\.[\w-]+)+)"|`([a-z_]+\.(?:[\w-]+\.)*)\$\{/g,
      )) {
        const used = all.filter(
          (key) => key === whole || key === `${whole}.one` || (stem && key.startsWith(stem)),
        );
        for (const key of used) expect(key in own, `${folder.name}/${file} uses ${key}`).toBe(true);
      }
    }
  }
});
