import { expect, test } from "vitest";

import { OneAtATime } from "./one-at-a-time";

test("slow answers do not pile up: while one is on its way no other is asked for", async () => {
  const { work, begun, answer } = slow();
  const refresh = new OneAtATime(work);
  for (let tick = 0; tick < 5; tick += 1) refresh.unlessRunning();
  expect(begun()).toBe(1);
  await answer();
  expect(begun(), "what was left out is not made up for").toBe(1);
  refresh.unlessRunning();
  expect(begun()).toBe(2);
});

test("what changes meanwhile is asked for once more, however often it changes", async () => {
  const { work, begun, answer } = slow();
  const refresh = new OneAtATime(work);
  refresh.soon();
  refresh.soon();
  refresh.soon();
  expect(begun()).toBe(1);
  await answer();
  expect(begun()).toBe(2);
  await answer();
  expect(begun()).toBe(2);
});

/** Work that is done when it is told to be. */
function slow(): { work: () => Promise<void>; begun: () => number; answer: () => Promise<void> } {
  let many = 0;
  let done: () => void = () => undefined;
  return {
    work: () => {
      many += 1;
      return new Promise((resolve) => (done = resolve));
    },
    begun: () => many,
    answer: async () => {
      done();
      await new Promise((resolve) => setTimeout(resolve));
    },
  };
}
