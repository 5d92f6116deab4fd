import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { csvAddress } from "./csv";
import type { Range } from "./range";
import { Readings } from "./readings.svelte";
import type { Series } from "./series";
import { Trace } from "./trace.svelte";

const S = 1_000;
const MINUTE = 60 * S;
const HOUR = 60 * MINUTE;
const NOW = Date.parse("2026-07-01T04:00:00Z");
const PERIOD_MS = 10 * S;
const LAST_15M: Range = { kind: "last", preset: "15m" };
/** So wide that a quarter of an hour is shown one by one, and so narrow that it is in minutes. */
const [WIDE_PX, NARROW_PX] = [1_000, 30];

const SERIES: Series = {
  name: "weather-1/air_temperature",
  device: "weather-1",
  property: "air_temperature",
  channel: null,
  unit: "Cel",
  statistic: "mean",
  resolution: "0.01",
  period_ms: PERIOD_MS,
  floor_ms: null,
  titles: null,
};

let server: ReturnType<typeof serverWith>;
let readings: Readings;
let trace: Trace;

beforeEach(() => {
  vi.useFakeTimers({ now: NOW });
  server = serverWith();
  vi.stubGlobal("fetch", server.fetch);
  readings = new Readings();
});

afterEach(() => {
  trace.close();
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("what was read before the window and came back is asked for, though the hole begins long before it", async () => {
  tell(NOW - 2 * HOUR);
  trace = new Trace("DF1", SERIES, readings);
  await shown(WIDE_PX);
  expect(trace.points).toEqual([]);

  // It is back, and names its newest reading; the server has had the others from it, too.
  for (let time = NOW - HOUR; time <= NOW; time += PERIOD_MS) server.times.push(time);
  tell(NOW);
  await seconds(4);
  const times = trace.points.map(({ start }) => start);
  expect(times).toEqual(server.times.filter((time) => time > NOW - 15 * MINUTE));
});

test("what came late for a time before the window is not asked for", async () => {
  fill(NOW - 15 * MINUTE);
  trace = new Trace("DF1", SERIES, readings);
  await shown(WIDE_PX);
  const asked = server.asked.length;
  tell(NOW - HOUR);
  await seconds(4);
  expect(server.asked).toHaveLength(asked);
});

test("of more news than are kept, what came before them is asked for as well", async () => {
  fill(NOW - 15 * MINUTE, NOW - 10 * MINUTE);
  trace = new Trace("DF1", SERIES, readings);
  await shown(WIDE_PX);
  const held = server.times.at(-1) ?? NaN;
  // Those just after what is held are never told of, and of the last one nothing can be seen.
  fill(NOW - 10 * MINUTE);
  for (let many = 0; many < 255; many += 1) tell(NOW - 5 * MINUTE + (many % 20) * PERIOD_MS);
  tell(NOW - HOUR);
  await seconds(4);
  const gaps = trace.points.map(({ start }, index) => start - (trace.points[index - 1]?.start ?? start));
  expect(trace.points.some(({ start }) => start === held)).toBe(true);
  expect(Math.max(...gaps)).toBe(PERIOD_MS);
});

test("of what the server's memory has only a part, chart and CSV begin with the same whole bucket", async () => {
  fill(NOW - 15 * MINUTE);
  server.floor_ms = NOW - 10 * MINUTE - 25 * S;
  trace = new Trace("DF1", SERIES, readings);
  await shown(NARROW_PX);
  expect(trace.step_ms).toBe(MINUTE);
  expect(fromOf(trace)).toBe(trace.points[0]?.start);
  expect(fromOf(trace) % MINUTE).toBe(0);
});

test("a link that is made after the memory has moved on names what is still there, and so does the chart", async () => {
  fill(NOW - 15 * MINUTE);
  trace = new Trace("DF1", SERIES, readings);
  await shown(NARROW_PX);
  expect(trace.floor_ms).toBeNull();

  server.floor_ms = NOW - 5 * MINUTE - 25 * S;
  await trace.recall(trace.window);
  expect(fromOf(trace)).toBeGreaterThan(server.floor_ms);
  expect(fromOf(trace)).toBeLessThan(server.floor_ms + 2 * MINUTE);
  expect(trace.points[0]?.start).toBe(fromOf(trace));
});

test("without an answer a link and the chart stay as they were", async () => {
  fill(NOW - 15 * MINUTE);
  trace = new Trace("DF1", SERIES, readings);
  await shown(NARROW_PX);
  const [points, from] = [trace.points, fromOf(trace)];
  server.isAway = true;
  await trace.recall(trace.window);
  expect(trace.points).toBe(points);
  expect(fromOf(trace)).toBe(from);
});

async function shown(width_px: number): Promise<void> {
  trace.show(LAST_15M, width_px, 1);
  await vi.advanceTimersByTimeAsync(10);
  expect(trace.phase).toBe("ready");
}

/** The page looks at it once a second. */
async function seconds(many: number): Promise<void> {
  for (let second = 0; second < many; second += 1) {
    trace.tick();
    await vi.advanceTimersByTimeAsync(S);
  }
}

/** The lamppost has read something, and the live feed tells of it. */
function tell(time_ms: number): void {
  if (!server.times.includes(time_ms)) server.times.push(time_ms);
  const observed = { value: 20, unit: "Cel", quality: "good", reason: "good", received_ms: time_ms } as const;
  readings.follow([{ lamppost: "DF1", series: SERIES.name, time_ms, period_ms: PERIOD_MS, ...observed }]);
}

function fill(from: number, to = NOW): void {
  for (let time = from; time < to; time += PERIOD_MS) server.times.push(time);
  const newest = server.times.at(-1);
  if (newest !== undefined) tell(newest);
}

/** The begin that the link to the CSV as shown asks for. */
function fromOf({ window, floor_ms, step_ms }: Trace): number {
  const older = floor_ms !== null && floor_ms > window.from ? floor_ms : null;
  const address = csvAddress({ lamppost: "DF1", series: SERIES, window, older, live: true, step_ms });
  return Date.parse(new URLSearchParams(address?.split("?")[1]).get("from") ?? "");
}

/** Answers for one series as the API does. */
function serverWith() {
  const server = {
    times: [] as number[],
    floor_ms: -Infinity,
    isAway: false,
    asked: [] as URLSearchParams[],
    fetch: async (address: string): Promise<Response> => {
      if (server.isAway) throw new TypeError("network");
      const query = new URLSearchParams(address.split("?")[1]);
      server.asked.push(query);
      const [from, to] = [Date.parse(query.get("from") ?? ""), Date.parse(query.get("to") ?? "")];
      if (from < server.floor_ms) {
        const problem = { title: "Gone", detail: "", floor: new Date(server.floor_ms).toISOString() };
        return Response.json(problem, { status: 410 });
      }
      const times = server.times
        .filter((time) => time >= from && time < to)
        .sort((one, other) => one - other);
      const step = query.get("step");
      if (step !== null) return Response.json({ buckets: buckets(times, Number(step) * S) });
      const limit = Number(query.get("limit"));
      const observations = times.slice(0, limit).map((time) => ({
        time: new Date(time).toISOString(),
        ...{ value: 20, quality: "good", reason: "good" },
      }));
      return Response.json({ observations, next: null });
    },
  };
  return server;
}

function buckets(times: readonly number[], step_ms: number) {
  const starts = [...new Set(times.map((time) => Math.floor(time / step_ms) * step_ms))];
  return starts.map((start) => ({
    start: new Date(start).toISOString(),
    end: new Date(start + step_ms).toISOString(),
    ...{ value: 20, minimum: 20, maximum: 20, uncertain: 0, bad: 0 },
    good: times.filter((time) => time >= start && time < start + step_ms).length,
  }));
}
