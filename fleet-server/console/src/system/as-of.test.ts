import { render } from "svelte/server";
import { afterEach, beforeAll, expect, test, vi } from "vitest";

vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
  vi.stubGlobal("navigator", { languages: ["en"], language: "en" });
});

import { clock } from "../live/clock.svelte";
import { loadMessages } from "../messages/index.svelte";
import AsOf from "./AsOf.svelte";

const READ_MS = Date.UTC(2026, 10, 21, 5, 5, 9);

beforeAll(() => loadMessages("system"));
afterEach(() => void vi.restoreAllMocks());

test("figures say when they were read", () => {
  expect(said(READ_MS + 500)).toMatch(/As of 21 Nov 2026, 13:05:09 \(now\)\./);
  expect(said(READ_MS + 10_000)).not.toMatch(/old/);
});

test("figures that could not be read for a while are said to be old", () => {
  const text = said(READ_MS + 75_000);
  expect(text).toMatch(/role="alert">These figures are old\./);
  expect(text).toMatch(/As of 21 Nov 2026, 13:05:09 \(1 min ago\)\./);
});

function said(now_ms: number): string {
  vi.spyOn(clock, "now_ms", "get").mockReturnValue(now_ms);
  return render(AsOf, { props: { read_ms: READ_MS } }).body;
}
