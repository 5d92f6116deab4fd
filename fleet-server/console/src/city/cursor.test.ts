import { expect, test } from "vitest";

import { cursorRow } from "./cursor";
import { Fleet } from "./fleet";
import { list, NO_FILTER, Texts } from "./listing";

const BY_NUMBER = { key: "number", descending: false } as const;

test("after an import the cursor is on the lamppost on which it was, wherever that is now", () => {
  expect(rowFor(["AB0002", "KB0001"], "KB0001")).toBe(1);
  expect(rowFor(["AB0001", "AB0002", "AB0003", "KB0001"], "KB0001")).toBe(3);
});

test("without its lamppost in the list the cursor is on the first row, and in an empty list on none", () => {
  expect(rowFor(["AB0002", "KB0001"], null)).toBe(0);
  expect(rowFor(["AB0002", "AB0003"], "KB0001")).toBe(0);
  expect(rowFor(["AB0002", "KB0001"], "AB0002", "kb")).toBe(1);
  expect(rowFor(["AB0002", "KB0001"], "KB0001", "nowhere")).toBeNull();
});

function rowFor(numbers: readonly string[], cursor: string | null, text = ""): number | null {
  const everywhere = numbers.map(() => 0);
  const fleet = new Fleet({
    revision: numbers.join(),
    numbers,
    latitude_e6: everywhere,
    longitude_e6: everywhere,
    roads: ["Wai Yip Street"],
    road: everywhere,
    districts: ["Kwun Tong"],
    district: everywhere,
  });
  const listing = list(fleet, new Texts(fleet, "en"), { ...NO_FILTER, text }, BY_NUMBER);
  return cursorRow(fleet, listing, cursor);
}
