import { expect, test } from "vitest";

import { isNumber, justBefore } from "./numbers";

const sorted = ["DF", "DF-1", "DF1", "DF12", "DF1zz", "DF2", "DG", "df"];

test("a list that goes on just before a beginning has all that begin like it", () => {
  for (const beginning of sorted) {
    const after = justBefore(beginning) ?? "";
    const listed = sorted.filter((number) => number > after);
    expect(listed[0], beginning).toBe(sorted.find((number) => number >= beginning));
  }
  expect(justBefore("-")).toBe(null);
});

test("what is asked for is itself a number", () => {
  for (const beginning of sorted) expect(isNumber(justBefore(beginning) ?? "x"), beginning).toBe(true);
  for (const text of ["", "D F", "D/F", "é", "D".repeat(33)]) expect(isNumber(text), text).toBe(false);
});
