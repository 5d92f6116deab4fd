import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import type { Schemas } from "../api/client";
import { loadMessages } from "../messages/index.svelte";
import { besideOf, consequenceOf, decisionText, isInVain, type Decision } from "./outboxes";

beforeAll(() => loadMessages("lamppost"));

const SPEAKS: Schemas["OutboxDocument"] = {
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
const ASIDE: Schemas["OutboxDocument"] = {
  ...SPEAKS,
  outbox: "bb".repeat(16),
  standing: "set_aside",
  run: null,
  first_heard: null,
  last_heard: null,
  speaks: false,
  set_aside: {
    since: "2026-07-01T08:00:00Z",
    by: SPEAKS.outbox,
    reason: "other_hardware",
    lamppost: "DF3637",
    hardware_serial: "S0",
    bytes: 2_500_000,
    runs: 2,
    first: "2026-06-01T00:00:00Z",
    last: null,
    releasable: true,
  },
};
const DECISION: Decision = {
  id: "01".repeat(16),
  outbox: ASIDE.outbox,
  decision: "release",
  decided: "2026-07-01T09:00:00Z",
  operator: "console",
  state: "waiting",
  reported: null,
  reason: null,
};

test("the outbox that speaks is nothing to decide of, and neither is one whose records have all come", () => {
  const done = { ...SPEAKS, outbox: "cc".repeat(16), standing: "silent", records: 0, speaks: false } as const;
  expect(besideOf({ outboxes: [SPEAKS, done], decisions: [] })).toEqual([]);
});

test("of a set aside outbox it is said whose it is, why, and how much it has", () => {
  const [outbox] = besideOf({ outboxes: [SPEAKS, ASIDE], decisions: [] });
  expect(outbox?.lines).toEqual([
    "Belongs to this number, and to other hardware",
    "Belongs to lamppost DF3637, hardware S0",
    expect.stringMatching(/^2\.5 MB in 2 runs, from .*2026.* to Not known$/),
    expect.stringMatching(/^Set aside, as far as the server knows, since .*16:00:00$/),
  ]);
  expect(outbox?.choices).toEqual(["release", "close"]);
});

test("only what makes sense can be chosen", () => {
  const choices = (outbox: Schemas["OutboxDocument"], decisions: Decision[] = []) =>
    besideOf({ outboxes: [outbox], decisions })[0]?.choices;
  const aside = ASIDE.set_aside;
  if (aside === null) throw new Error("it is set aside");
  expect(choices({ ...ASIDE, set_aside: { ...aside, releasable: false } })).toEqual(["close"]);
  const elsewhere = { ...SPEAKS, speaks: false };
  expect(choices(elsewhere)).toEqual(["close"]);
  expect(choices({ ...elsewhere, standing: "silent" })).toEqual(["release", "close"]);
  expect(choices({ ...elsewhere, standing: "closed" })).toEqual(["release"]);
  for (const state of ["waiting", "sent", "acknowledged"] as const) {
    expect(choices(ASIDE, [{ ...DECISION, state }])).toEqual([]);
  }
  expect(choices(ASIDE, [{ ...DECISION, state: "failed", reason: "no room" }])).toEqual(["release", "close"]);
});

test("a decision says how far it has come, and a confirmation what will happen", () => {
  expect(decisionText(DECISION)).toMatch(/^Release: waits for the lamppost \(decided .*17:00:00\)$/);
  expect(decisionText({ ...DECISION, state: "failed", reason: "no room" })).toMatch(
    /^Release: failed: no room \(decided/,
  );
  expect(decisionText({ ...DECISION, state: "failed" })).toMatch(/^Release: failed \(decided/);
  expect(["failed", "expired", "done", "waiting"].map((state) => isInVain({ state }))).toEqual([
    true,
    false,
    false,
    false,
  ]);
  const [aside] = besideOf({ outboxes: [ASIDE], decisions: [] });
  const [elsewhere] = besideOf({ outboxes: [{ ...SPEAKS, speaks: false }], decisions: [] });
  if (!aside || !elsewhere) throw new Error("both can be decided of");
  expect(consequenceOf(aside, "close")).toMatch(/deletes it from its disk/);
  expect(consequenceOf(elsewhere, "close")).toMatch(/unless the outbox speaks again/);
  expect(consequenceOf(aside, "release")).toMatch(/sends them under its own number/);
});
