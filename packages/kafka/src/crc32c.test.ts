import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32c } from "./crc32c.ts";

/** Bit by bit, as the definition has it. */
function byDefinition(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0x82f63b78;
  }
  return (crc ^ -1) >>> 0;
}

test("the vectors of RFC 3720", () => {
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(crc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, place) => place))).toBe(0x46dd794e);
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, place) => 31 - place))).toBe(0x113fdb5c);
  expect(crc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(crc32c(new Uint8Array())).toBe(0);
});

test("whatever the bytes, and wherever they lie", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(9), (bytes, offset) => {
      const elsewhere = new Uint8Array(bytes.length + 20).fill(7);
      elsewhere.set(bytes, offset);
      expect(crc32c(elsewhere.subarray(offset, offset + bytes.length))).toBe(byDefinition(bytes));
    }),
  );
});
