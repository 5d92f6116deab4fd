import { afterEach, beforeEach, expect, test, vi } from "vitest";

vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
  vi.stubGlobal("navigator", { languages: ["en"], language: "en" });
});

/** A part that never comes, as of a network that is gone without a word. */
vi.mock("./zh-Hant/shell", () => ({ shell: new Promise(() => undefined) }));

import { chooseLanguage, loadMessages, locale, t } from "./index.svelte";

beforeEach(async () => {
  await loadMessages("shell");
  vi.useFakeTimers();
});
afterEach(() => void vi.useRealTimers());

test("texts that do not come are given up, and hold up none that are asked for after them", async () => {
  const failed = vi.fn();
  const choice = chooseLanguage("zh-Hant").catch(failed);
  await vi.advanceTimersByTimeAsync(29_000);
  expect(failed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1_000);
  await choice;
  expect(failed).toHaveBeenCalledOnce();

  await loadMessages("system");
  expect([locale.language, t("nav.city"), t("system.title")]).toEqual(["en", "City", "System"]);
});

test("a choice that fails does not undo the same one that was made after it", async () => {
  const outcomes: string[] = [];
  for (const name of ["first", "second"]) {
    chooseLanguage("zh-Hant").then(
      () => outcomes.push(`${name} done`),
      () => outcomes.push(`${name} failed`),
    );
    await vi.advanceTimersByTimeAsync(10_000);
  }
  await vi.advanceTimersByTimeAsync(60_000);
  expect(outcomes).toEqual(["first failed", "second failed"]);
});
