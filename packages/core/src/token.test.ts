import { expect, test } from "vitest";
import { newToken } from "./token.ts";

test("tokens are positive, fit a signed 64-bit number and differ", () => {
  const tokens = Array.from({ length: 1_000 }, newToken);
  expect(new Set(tokens).size).toBe(1_000);
  expect(tokens.every((token) => BigInt(token) > 0n && BigInt(token) < 2n ** 63n)).toBe(true);
});
