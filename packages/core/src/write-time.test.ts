import { expect, test } from "vitest";
import { writeTimeMs } from "./write-time.ts";

test("a quarter of a call's time is for answers, two seconds at most", () => {
  expect([0, 100, 1_000, 8_000, 10_000, 600_000].map(writeTimeMs)).toEqual([0, 75, 750, 6_000, 8_000, 598_000]);
});
