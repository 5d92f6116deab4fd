import { expect, test } from "vitest";

import { csvAddress } from "./csv";
import { pointOf, within } from "./points";

const S = 1_000;
const AT = Date.parse("2026-07-01T04:00:00Z");
const ASKED = {
  lamppost: "KB0007",
  series: { device: "weather-1", property: "air_temperature", channel: null },
  window: { from: AT + 7 * S, to: AT + 3_600 * S },
  older: null,
  live: false,
  step_ms: 20 * S,
};

test("a file as shown begins with the whole bucket that the range begins in, one of all with the range", () => {
  expect(of(ASKED)["from"]).toBe("2026-07-01T04:00:00.000Z");
  expect(of({ ...ASKED, step_ms: null })["from"]).toBe("2026-07-01T04:00:07.000Z");
});

test("a bucket of which a part has left the server's memory is not in the file: it is not in the chart", () => {
  const older = AT + 61 * S;
  expect(of({ ...ASKED, older })["from"]).toBe("2026-07-01T04:01:20.000Z");
  expect(of({ ...ASKED, older, step_ms: null })["from"]).toBe("2026-07-01T04:01:01.000Z");
});

test("there is no link to what has all left the server's memory", () => {
  expect(csvAddress({ ...ASKED, older: AT + 3_590 * S })).toBeNull();
  expect(csvAddress({ ...ASKED, older: AT + 3_590 * S, step_ms: null })).not.toBeNull();
  expect(csvAddress({ ...ASKED, older: AT + 3_600 * S, step_ms: null })).toBeNull();
});

test("a range that follows the clock has no end, a fixed one has its own, and a channel is named", () => {
  const from = "2026-07-01T04:00:00.000Z";
  expect(of({ ...ASKED, live: true })).toEqual({ from, step: "20", format: "csv" });
  const to = "2026-07-01T05:00:00.000Z";
  const series = { ...ASKED.series, channel: "top" };
  expect(of({ ...ASKED, series })).toEqual({ channel: "top", from, to, step: "20", format: "csv" });
});

test("the table has what the file has: not what is kept only for the line at the edge of the chart", () => {
  const points = [-20, 0, 20].map((seconds) => point(AT + seconds * S, 20 * S));
  expect(within(points, ASKED.window, 20 * S).map(({ start }) => start)).toEqual([AT, AT + 20 * S]);
  const observations = [6, 7, 8].map((seconds) => point(AT + seconds * S, 0));
  expect(within(observations, ASKED.window, null)).toEqual(observations.slice(1));
});

function of(asked: Parameters<typeof csvAddress>[0]): Record<string, string> {
  const address = csvAddress(asked) ?? "";
  expect(address).toMatch(/^\/api\/v1\/lampposts\/KB0007\/series\/weather-1\/air_temperature\?/);
  return Object.fromEntries(new URLSearchParams(address.split("?")[1]));
}

function point(start: number, length: number) {
  const observed = { time_ms: start, value: 1, quality: "good", reason: "good" } as const;
  return { ...pointOf(observed), end: start + length };
}
