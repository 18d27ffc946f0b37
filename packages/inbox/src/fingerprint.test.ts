import { expect, test } from "vitest";
import { fingerprintOf } from "./fingerprint.ts";

// Rows hold fingerprints for as long as the retention: another way to make them would take every repetition for a forgery.
test("fingerprints are what the rows of earlier versions hold", () => {
  expect(fingerprintOf("shop.note.v1", Buffer.from('{"n":1}'))).toBe("a5be1d93e50538688c2ccc477fc01b7f");
  expect(fingerprintOf("shop.näme.v1", new Uint8Array())).toBe("6d01df9d68cbc836edebe1952d6b8e96");
  expect(fingerprintOf("shop.note.v1", null)).toBe("c8ef42c7517d9de6f757bfea6e59fd75");
});
