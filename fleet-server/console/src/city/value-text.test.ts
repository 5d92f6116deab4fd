import { render } from "svelte/server";
import { beforeAll, expect, test, vi } from "vitest";

// The texts choose their language by what a browser has.
vi.hoisted(() => {
  vi.stubGlobal("localStorage", { getItem: () => "en", setItem: () => undefined });
  vi.stubGlobal("document", { documentElement: {} });
});

import { loadMessages } from "../messages/index.svelte";
import type { Property } from "./catalogue.svelte";
import type { City } from "./city.svelte";
import { Fleet } from "./fleet";
import ValueText from "./ValueText.svelte";

const NOW = 1_800_000_000_000;
const PROPERTY: Property = {
  name: "air_temperature",
  title_en: "Air temperature",
  title_zh: "氣溫",
  unit: "Cel",
  resolution: "0.01",
  statistic: "mean",
  theme: "weather",
};

beforeAll(() => loadMessages("city"));

test("why a value is doubtful or missing can be read by everybody, and not only be heard or pointed at", () => {
  expect(shown("u", 75, "out-of-range")).toMatch(/75\.00 °C Outside of the range that is believed$/);
  expect(shown("b", null, "no-answer")).toMatch(/no value The sensor does not answer$/);
  expect(shown("g", 20, null)).toBe("20.00 °C");
});

test("how long something has been running is told in days, hours, minutes and seconds", () => {
  const uptime = { ...PROPERTY, name: "agent_uptime", unit: "s", resolution: "1" };
  expect(shown("g", 93_784, null, uptime)).toBe("1 day 2 h 3 min 4 s");
});

/** What can be seen of it. */
function shown(quality: string, value: number | null, reason: string | null, property = PROPERTY): string {
  const fleet = new Fleet({
    ...{ revision: "r1", numbers: ["AB0001"], latitude_e6: [0], longitude_e6: [0] },
    ...{ roads: ["Wai Yip Street"], road: [0], districts: ["Kwun Tong"], district: [0] },
  });
  const states = { status: "r", quality, last_observation_ms: [NOW], unit: property.unit };
  const values = { values: [value], value_time_ms: [NOW], value_quality: quality, value_reason: [reason] };
  fleet.load({ ...states, ...values, value_period_ms: [2_000] }, property.name);
  const city = { fleet, version: 1, scale: null } as unknown as City;
  return render(ValueText, { props: { city, property, row: 0, now_ms: NOW } })
    .body.replaceAll(/<span class="[^"]*visually-hidden[^"]*">[^<]*<\/span>/g, "")
    .replaceAll(/<!--.*?-->|<[^>]*>/g, " ")
    .replaceAll(/\s+/g, " ")
    .trim();
}
