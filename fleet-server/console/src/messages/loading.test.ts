import { beforeAll, expect, test, vi } from "vitest";

vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
  vi.stubGlobal("navigator", { languages: ["en"], language: "en" });
});

import { chooseLanguage, loadMessages, locale, t } from "./index.svelte";

beforeAll(() => loadMessages("shell"));

test("of languages that are chosen at once the last one stands, with all its texts", async () => {
  await Promise.all([chooseLanguage("zh-Hant"), loadMessages("system"), chooseLanguage("en")]);
  expect([locale.language, t("nav.city"), t("system.title")]).toEqual(["en", "City", "System"]);
  await Promise.all([chooseLanguage("en"), chooseLanguage("zh-Hant")]);
  expect([locale.language, t("nav.city"), t("system.title")]).toEqual(["zh-Hant", "全市", "系統"]);
});
