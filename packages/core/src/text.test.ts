import { expect, test } from "vitest";
import { hasControlCharacter, isWellFormed, utf8Bytes } from "./text.ts";

test("a lone surrogate makes text ill-formed, a pair does not", () => {
  expect(isWellFormed("grün 🧾")).toBe(true);
  expect(isWellFormed("\ud83e")).toBe(false);
  expect(isWellFormed("\uddfe\ud83e")).toBe(false);
});

test("length is counted in UTF-8", () => {
  expect(utf8Bytes("aü€🧾")).toBe(1 + 2 + 3 + 4);
});

test("control characters are those below U+0020 and from U+007F to U+009F", () => {
  for (const code of [0x00, 0x09, 0x0a, 0x0d, 0x1f, 0x7f, 0x80, 0x9f])
    expect(hasControlCharacter(`a${String.fromCharCode(code)}b`)).toBe(true);
  for (const code of [0x20, 0x7e, 0xa0, 0x2028]) expect(hasControlCharacter(`a${String.fromCharCode(code)}b`)).toBe(false);
});
