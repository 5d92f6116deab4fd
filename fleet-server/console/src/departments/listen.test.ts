import { expect, test } from "vitest";

import { listenWith } from "./listen";

test("a filter is one word for a shell, whatever stands in it", () => {
  expect(listenWith("traffic", "0f", "highway/+/King's/#")).toBe(
    "mosquitto_sub -h SERVER -p 8883 --cafile ca.pem -u traffic -P 0f -t 'highway/+/King'\\''s/#' -v",
  );
});
