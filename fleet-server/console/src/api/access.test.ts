import { afterEach, beforeEach, expect, test, vi } from "vitest";

let page: EventTarget & { hidden: boolean };
let access: (typeof import("./access.svelte"))["access"];
let status: number;
let asked: number;

beforeEach(async () => {
  vi.useFakeTimers();
  [status, asked] = [401, 0];
  page = Object.assign(new EventTarget(), { hidden: false });
  vi.stubGlobal("document", page);
  vi.stubGlobal("fetch", () => {
    asked += 1;
    return status === 0 ? Promise.reject(new TypeError("no network")) : Promise.resolve({ status });
  });
  vi.resetModules();
  ({ access } = await import("./access.svelte"));
  access.lost();
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a locked console is unlocked within half a minute after another tab was let in, and asks no more", async () => {
  await vi.advanceTimersByTimeAsync(30_000);
  expect([access.locked, asked]).toEqual([true, 1]);
  status = 200;
  await vi.advanceTimersByTimeAsync(30_000);
  expect([access.locked, asked]).toEqual([false, 2]);
  await vi.advanceTimersByTimeAsync(600_000);
  page.dispatchEvent(new Event("visibilitychange"));
  expect(asked).toBe(2);
});

test("whoever comes back to a locked tab finds it unlocked at once; while nobody looks it does not ask", async () => {
  page.hidden = true;
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toBe(0);
  [status, page.hidden] = [200, false];
  page.dispatchEvent(new Event("visibilitychange"));
  await vi.advanceTimersByTimeAsync(0);
  expect(access.locked).toBe(false);
});

test.each([0, 502, 503])("a server that answers %i has let nobody in", async (answer) => {
  status = answer;
  await vi.advanceTimersByTimeAsync(30_000);
  expect([access.locked, asked]).toEqual([true, 1]);
});

test("a console that is locked again asks again, once each time", async () => {
  access.lost();
  status = 200;
  await vi.advanceTimersByTimeAsync(30_000);
  access.lost();
  expect(access.locked).toBe(true);
  await vi.advanceTimersByTimeAsync(30_000);
  expect([access.locked, asked]).toEqual([false, 2]);
  await vi.advanceTimersByTimeAsync(600_000);
  expect(asked).toBe(2);
});
