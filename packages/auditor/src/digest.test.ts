import { expect, it } from "vitest";
import { digest } from "./digest.ts";

it("a digest is that of the bytes, text being UTF-8 and nothing being empty", () => {
  expect(digest("abc")).toBe("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  expect(digest("ä")).toBe(digest(Uint8Array.of(0xc3, 0xa4)));
  expect(digest(null)).toBe(digest(""));
  expect(digest("ä")).not.toBe(digest(Uint8Array.of(0xe4)));
});
