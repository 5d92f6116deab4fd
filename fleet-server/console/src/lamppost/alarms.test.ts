import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import type { Schemas } from "../api/client";
import { loadMessages } from "../messages/index.svelte";
import { alarmsOf } from "./alarms";

beforeAll(() => loadMessages("lamppost"));

const OUTBOX: Schemas["OutboxDocument"] = {
  outbox: "aa".repeat(16),
  standing: "living",
  hardware_serial: "S1",
  run: "01".repeat(16),
  first_heard: "2026-07-01T00:00:00Z",
  last_heard: "2026-07-01T08:00:00Z",
  lives: 1,
  runs: 3,
  records: 12,
  set_aside: null,
  speaks: true,
};

test("one outbox that lives is no alarm, however much it has", () => {
  expect(alarmsOf({ outboxes: [OUTBOX], forks: [] })).toEqual([]);
  expect(alarmsOf({ outboxes: [], forks: [] })).toEqual([]);
});

test("a fork is told with both runs and their times", () => {
  const run = (id: string) => ({
    run: id.repeat(16),
    opened: "2026-07-01T00:00:00Z",
    received: "2026-07-01T00:00:05Z",
  });
  const [alarm] = alarmsOf({
    outboxes: [OUTBOX],
    forks: [{ run_before: "07".repeat(16), runs: [run("08"), run("09")] }],
  });
  expect(alarm?.title).toBe("An outbox or card was copied: 2 runs continue run 07070707");
  expect(alarm?.details).toHaveLength(2);
  expect(alarm?.details[1]).toMatch(/^run 09090909, opened .*08:00:00, heard .*08:00:05$/);
  expect(alarm?.grave).toBe(true);
});

test("of other outboxes it is told whether what they have may still come", () => {
  const other = { ...OUTBOX, outbox: "bb".repeat(16), hardware_serial: null, speaks: false };
  const alarms = alarmsOf({
    outboxes: [
      { ...OUTBOX, lives: 2 },
      { ...other, standing: "silent" },
      { ...other, outbox: "cc".repeat(16), standing: "closed", records: 1500 },
      { ...other, outbox: "dd".repeat(16), standing: "silent", records: 0 },
      { ...other, outbox: "ee".repeat(16) },
    ],
    forks: [],
  });
  expect(alarms.map(({ key }) => key)).toEqual([
    `copied ${"aa".repeat(16)}`,
    `gone ${"bb".repeat(16)}`,
    `gone ${"cc".repeat(16)}`,
    `elsewhere ${"ee".repeat(16)}`,
  ]);
  expect(alarms[1]?.help).toMatch(/^It was silent for 30 days .* None told\. 12 records/);
  expect(alarms[2]?.help).toMatch(/^An operator has closed it; .* 1,500 records/);
  expect(alarms[3]?.grave).toBe(false);
});

test("a set aside outbox is an alarm until it is closed, also when it has become silent", () => {
  const set_aside = {
    since: "2026-07-01T08:00:00Z",
    by: OUTBOX.outbox,
    reason: "no_identity" as const,
    lamppost: null,
    hardware_serial: null,
    bytes: 5,
    runs: 1,
    first: null,
    last: null,
    releasable: false,
  };
  const aside = {
    ...OUTBOX,
    outbox: "bb".repeat(16),
    standing: "set_aside" as const,
    speaks: false,
    set_aside,
  };
  const keys = (standing: "set_aside" | "silent" | "closed") =>
    alarmsOf({ outboxes: [OUTBOX, { ...aside, standing }], forks: [] }).map(({ key }) => key);
  expect(keys("set_aside")).toEqual([`aside ${aside.outbox}`]);
  expect(keys("silent")).toEqual([`aside ${aside.outbox}`]);
  expect(keys("closed")).toEqual([`gone ${aside.outbox}`]);
});
