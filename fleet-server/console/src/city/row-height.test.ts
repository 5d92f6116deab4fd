import { expect, test } from "vitest";

import { rowHeight } from "./row-height";

test("beside values rows are as high as their reasons need, unless there is room beside them", () => {
  expect(rowHeight(true, 69.9)).toBeGreaterThan(rowHeight(false, 69.9));
  expect(rowHeight(true, 20)).toBe(rowHeight(true, 69.9));
  expect(rowHeight(true, 70)).toBe(rowHeight(false, 70));
});
