import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Problem } from "../api/client";
import { Following } from "./follow.svelte";
import { link } from "./link.svelte";

const { Feed } = vi.hoisted(() => {
  class Feed {
    static readonly all: Feed[] = [];
    isOpen = true;
    readonly ids: string[];

    constructor(
      _query: unknown,
      after: string,
      readonly handlers: { reset: () => void },
    ) {
      this.ids = [after];
      Feed.all.push(this);
    }

    resume(after: string): void {
      this.ids.push(after);
    }

    close(): void {
      this.isOpen = false;
    }
  }
  return { Feed };
});

vi.mock("./feed", () => ({ Feed }));

const GONE = new Problem(404, "Not Found", "no such lamppost");
const AWAY = new Problem(0, "", "no answer");

beforeEach(() => {
  vi.useFakeTimers();
  Feed.all.length = 0;
  asked.length = 0;
  link.closed();
});

afterEach(() => {
  following?.close();
  vi.useRealTimers();
});

test("there is one snapshot in flight: a newer wish ends the older one, which then says nothing", async () => {
  const following = follow();
  await answer(0, "life-1");
  Feed.all[0]?.handlers.reset();
  Feed.all[0]?.handlers.reset();
  following.reload();
  expect(asked.map(({ signal }) => signal.aborted)).toEqual([false, true, true, false]);

  await answer(1, "life-2");
  await fail(2, GONE);
  expect([Feed.all[0]?.ids, following.phase]).toEqual([["life-1"], "ready"]);
  await answer(3, "life-3");
  expect([Feed.all.length, Feed.all[0]?.ids]).toEqual([1, ["life-1", "life-3"]]);
});

test("a snapshot that is read again after a while is no second one beside what was asked for meanwhile", async () => {
  const following = follow();
  await fail(0, AWAY);
  following.reload();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBe(2);
});

test("a problem that may pass leaves what is shown, and the snapshot is read again", async () => {
  const following = follow();
  await answer(0, "life-1");
  following.reload();
  await fail(1, AWAY);
  expect([following.phase, link.state, Feed.all[0]?.isOpen]).toEqual(["ready", "lost", true]);
  await vi.advanceTimersByTimeAsync(3_000);
  await answer(2, "life-2");
  expect([following.problem, Feed.all[0]?.ids]).toEqual([null, ["life-1", "life-2"]]);
});

test("a lamppost that is there no more ends its feed, and the page says so", async () => {
  const following = follow();
  await answer(0, "life-1");
  following.reload();
  await fail(1, GONE);
  expect([following.phase, following.problem, Feed.all[0]?.isOpen]).toEqual(["failed", GONE, false]);
  expect(link.state).toBe("idle");
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBe(2);

  following.reload();
  await answer(2, "life-2");
  expect([following.phase, Feed.all.map(({ isOpen }) => isOpen)]).toEqual(["ready", [false, true]]);
});

test("whoever leaves a page that has never had a feed leaves no lost link behind", async () => {
  const following = follow();
  await fail(0, AWAY);
  expect(link.state).toBe("lost");
  following.close();
  expect(link.state).toBe("idle");
  following.reload();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(asked.length).toBe(1);
});

test("of a server that answers while its feed stays away the snapshot is read instead, over and over", async () => {
  const following = follow();
  await answer(0, "life-1");
  link.lost();
  expect(following.catchUp()).toBe(false);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(following.catchUp()).toBe(true);
  await vi.advanceTimersByTimeAsync(5_000);
  expect([following.catchUp(), asked.length]).toEqual([false, 2]);
  expect(asked[1]?.signal.aborted, "one that takes long is not begun anew").toBe(false);
  await answer(1, "life-2");
  expect([following.catchUp(), asked.length]).toEqual([true, 3]);
});

test("a feed that is soon back has told all by itself: no snapshot is read", async () => {
  const following = follow();
  await answer(0, "life-1");
  link.lost();
  expect(following.catchUp()).toBe(false);
  await vi.advanceTimersByTimeAsync(5_000);
  link.heard();
  expect(following.catchUp()).toBe(false);
  await vi.advanceTimersByTimeAsync(60_000);
  link.lost();
  expect([following.catchUp(), asked.length]).toEqual([false, 1]);
});

let following: Following | null = null;

type Asked = { signal: AbortSignal; answer: (id: string) => void; fail: (problem: Problem) => void };
const asked: Asked[] = [];

function follow(): Following {
  const load = (signal: AbortSignal) =>
    new Promise<string>((answer, fail) => void asked.push({ signal, answer, fail }));
  following = new Following({}, load, () => undefined);
  return following;
}

async function answer(place: number, id: string): Promise<void> {
  asked[place]?.answer(id);
  await vi.advanceTimersByTimeAsync(0);
}

async function fail(place: number, problem: Problem): Promise<void> {
  asked[place]?.fail(problem);
  await vi.advanceTimersByTimeAsync(0);
}
