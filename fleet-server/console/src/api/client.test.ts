import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { get, Problem } from "./client";

beforeEach(() => {
  vi.useFakeTimers();
  // The real one does not go by the clock that the test turns.
  vi.spyOn(AbortSignal, "timeout").mockImplementation((ms) => {
    const late = new AbortController();
    setTimeout(() => late.abort(new DOMException("too late", "TimeoutError")), ms);
    return late.signal;
  });
  vi.stubGlobal("fetch", silent);
});

afterEach(() => {
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.useRealTimers();
});

test.each([
  ["by nobody else", undefined],
  ["by a page, too", new AbortController().signal],
])("an answer that does not come is given up %s, and is a problem that may pass", async (_, signal) => {
  const problem = settled(get("/api/v1/system", signal === undefined ? {} : { signal }));
  await vi.advanceTimersByTimeAsync(29_000);
  expect(problem.is).toBe(undefined);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(problem.is).toBeInstanceOf(Problem);
  expect((problem.is as Problem).mayPass).toBe(true);
});

test("a page that goes ends what it asked for, which is no problem", async () => {
  const page = new AbortController();
  const problem = settled(get("/api/v1/system", { signal: page.signal }));
  page.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect((problem.is as DOMException).name).toBe("AbortError");
});

function settled(work: Promise<unknown>): { is: unknown } {
  const outcome: { is: unknown } = { is: undefined };
  work.catch((problem: unknown) => (outcome.is = problem));
  return outcome;
}

/** Of a server that never answers. */
function silent(_: string, { signal }: { signal: AbortSignal }): Promise<Response> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
}
