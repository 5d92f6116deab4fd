import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Catalogue } from "./catalogue.svelte";

const MINUTE = 60_000;

let answers: (() => Response | Promise<Response>)[];
let asked: AbortSignal[];

beforeEach(() => {
  vi.useFakeTimers();
  answers = [];
  asked = [];
  vi.stubGlobal("fetch", async (_: string, { signal }: { signal: AbortSignal }) => {
    asked.push(signal);
    return (answers.shift() ?? unavailable)();
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("it is asked for again until it is there, and then no more", async () => {
  const catalogue = new Catalogue();
  answers = [unavailable, unavailable, () => Response.json({ properties: [] })];
  await catalogue.read();
  expect(catalogue.problem?.status).toBe(503);
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect([catalogue.properties, catalogue.problem, asked.length]).toEqual([[], null, 3]);
});

test("after the page is left nothing is asked for, whoever has tried again before", async () => {
  const catalogue = new Catalogue();
  await catalogue.read();
  await catalogue.read();
  catalogue.close();
  await catalogue.read();
  await vi.advanceTimersByTimeAsync(MINUTE);
  expect(asked).toHaveLength(2);
});

test("an answer that is on its way when the page is left is done without", async () => {
  const catalogue = new Catalogue();
  answers = [() => new Promise<Response>(() => undefined)];
  void catalogue.read();
  await vi.advanceTimersByTimeAsync(0);
  catalogue.close();
  expect(asked.map(({ aborted }) => aborted)).toEqual([true]);
});

test("whoever tries again and again does not make it be asked for more often", async () => {
  const catalogue = new Catalogue();
  for (let tries = 0; tries < 5; tries += 1) await catalogue.read();
  await vi.advanceTimersByTimeAsync(3_100);
  expect(asked).toHaveLength(6);
  catalogue.close();
});

function unavailable(): Response {
  return Response.json({ title: "Service Unavailable", detail: "it starts" }, { status: 503 });
}
