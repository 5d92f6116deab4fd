import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { Feed } from "./feed";
import { link } from "./link.svelte";

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("document", page);
  vi.stubGlobal("EventSource", Source);
  Source.all.length = 0;
  look(true);
});

afterEach(() => {
  feed?.close();
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

test("a tab that is hidden for long gives its connection back, and goes on after its last id when it is seen again", () => {
  open();
  newest().send("changes", "life-7", { observations: [], states: [] });
  look(false);
  vi.advanceTimersByTime(10_001);
  expect(connections()).toBe(0);
  vi.advanceTimersByTime(3_600_000);
  expect([Source.all.length, connections(), link.state]).toEqual([1, 0, "idle"]);

  look(true);
  expect([connections(), newest().after, link.state]).toEqual([1, "life-7", "connecting"]);
  newest().send("time", "", { time_ms: Date.now() });
  expect(link.state).toBe("live");
});

test("a tab that was opened unseen gives its connection back as well", () => {
  look(false);
  open();
  vi.advanceTimersByTime(10_001);
  expect(connections()).toBe(0);
});

test("a tab that is hidden for a moment keeps its feed", () => {
  open();
  look(false);
  vi.advanceTimersByTime(9_000);
  look(true);
  vi.advanceTimersByTime(5_000);
  expect([Source.all.length, connections()]).toEqual([1, 1]);
});

test("a snapshot that is read for a hidden tab opens no feed until it is seen", () => {
  open();
  newest().send("reset", "life-9", {});
  look(false);
  vi.advanceTimersByTime(10_001);
  feed?.resume("life-10");
  expect(connections()).toBe(0);
  look(true);
  expect([connections(), newest().after]).toEqual([1, "life-10"]);
});

test("after a reset nothing is opened until a snapshot says after which event, however long that takes", () => {
  const reset = open();
  newest().send("time", "", { time_ms: Date.now() });
  newest().send("reset", "life-9", {});
  expect([reset.mock.calls.length, connections(), link.state]).toEqual([1, 0, "connecting"]);
  vi.advanceTimersByTime(60_000);
  expect(Source.all.length).toBe(1);

  feed?.resume("life-10");
  expect([Source.all.length, connections(), newest().after]).toEqual([2, 1, "life-10"]);
});

test("a feed that is asked about after a refusal is not opened again with the id from before a reset", async () => {
  let answer: (response: { status: number }) => void = () => undefined;
  vi.stubGlobal("fetch", () => new Promise((resolve) => (answer = resolve)));
  open();
  newest().refuse();
  vi.advanceTimersByTime(3_000);
  feed?.resume("life-2");
  answer({ status: 200 });
  await vi.advanceTimersByTimeAsync(0);
  expect([Source.all.length, newest().after]).toEqual([2, "life-2"]);
});

test("a machine that wakes checks its link at once", () => {
  open();
  newest().send("time", "life-3", { time_ms: Date.now() });
  vi.advanceTimersByTime(2_000);
  expect(Source.all.length).toBe(1);
  vi.setSystemTime(Date.now() + 8_000);
  vi.advanceTimersByTime(1_000);
  expect([Source.all.length, connections(), newest().after]).toEqual([2, 1, "life-3"]);
  expect(link.state).toBe("connecting");
  vi.advanceTimersByTime(2_000);
  expect(Source.all.length).toBe(2);
});

test("silence is a lost link, and the feed is opened again", () => {
  open();
  newest().send("time", "life-4", { time_ms: Date.now() });
  vi.advanceTimersByTime(14_000);
  expect([Source.all.length, link.state]).toEqual([1, "live"]);
  vi.advanceTimersByTime(1_000);
  expect([Source.all.length, connections(), newest().after, link.state]).toEqual([2, 1, "life-4", "lost"]);
});

test("a feed that is closed stays closed", () => {
  open();
  feed?.close();
  look(false);
  vi.advanceTimersByTime(60_000);
  look(true);
  feed?.resume("life-5");
  vi.advanceTimersByTime(60_000);
  expect([Source.all.length, connections(), link.state]).toEqual([1, 0, "idle"]);
});

let feed: Feed | null = null;

function open() {
  const reset = vi.fn();
  feed = new Feed({}, "life-1", { changes: () => undefined, reset });
  return reset;
}

const page = Object.assign(new EventTarget(), { hidden: false });

function look(isSeen: boolean): void {
  page.hidden = !isSeen;
  page.dispatchEvent(new Event("visibilitychange"));
}

class Source extends EventTarget {
  static readonly CLOSED = 2;
  static readonly all: Source[] = [];
  readonly after: string | null;
  readyState = 0;

  constructor(address: string) {
    super();
    this.after = new URL(address, "http://server").searchParams.get("after");
    Source.all.push(this);
  }

  close(): void {
    this.readyState = Source.CLOSED;
  }

  refuse(): void {
    this.close();
    this.dispatchEvent(new Event("error"));
  }

  send(name: string, lastEventId: string, data: unknown): void {
    this.readyState = 1;
    this.dispatchEvent(Object.assign(new Event(name), { lastEventId, data: JSON.stringify(data) }));
  }
}

const newest = (): Source => Source.all.at(-1) as Source;
const connections = (): number => Source.all.filter((source) => source.readyState !== Source.CLOSED).length;
