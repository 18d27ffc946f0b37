import { expect, test } from "vitest";
import { isWaybillError } from "./errors.ts";
import { isMessageId, isUuid, newMessageId, ownMessageId } from "./message-id.ts";

test("new ids are UUIDs of version 7, unique, and ascending as text", () => {
  const ids = Array.from({ length: 5_000 }, () => newMessageId());
  expect(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id))).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.toSorted()).toEqual(ids);
});

test("an id of one's own is any UUID and becomes canonical", () => {
  expect(ownMessageId("0B5F4A52-3C0E-5D50-8F6F-3B1C8F0A7C11")).toBe("0b5f4a52-3c0e-5d50-8f6f-3b1c8f0a7c11");
});

test("an id of one's own that is no UUID is refused", () => {
  for (const id of [
    "",
    "order-1",
    "0b5f4a523c0e5d508f6f3b1c8f0a7c11",
    "{0b5f4a52-3c0e-5d50-8f6f-3b1c8f0a7c11}",
    "0b5f4a52-3c0e-5d50-8f6f-3b1c8f0a7c1g",
    7,
  ]) {
    try {
      ownMessageId(id as string);
      expect.unreachable();
    } catch (error) {
      expect(isWaybillError(error, "WAYBILL_MESSAGE_INVALID") && error.facts).toEqual({ field: "id", rule: "UUID" });
    }
  }
});

test("only the canonical form is a UUID", () => {
  expect(isUuid("0b5f4a52-3c0e-5d50-8f6f-3b1c8f0a7c11")).toBe(true);
  expect(isUuid("0B5F4A52-3C0E-5D50-8F6F-3B1C8F0A7C11")).toBe(false);
});

test("a foreign id is 1 to 255 bytes that a database can store and compare", () => {
  for (const id of ["1", "order/1#2", "ü".repeat(127)]) expect(isMessageId(id)).toBe(true);
  for (const id of ["", "a".repeat(256), "ü".repeat(128), "a\u0000", "\ud800"]) expect(isMessageId(id)).toBe(false);
});
