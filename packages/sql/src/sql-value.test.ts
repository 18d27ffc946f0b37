import { isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { checkOwnedValues, checkSqlValues, withBuffers } from "./sql-value.ts";
import type { SqlValue } from "./tx.ts";

const factsOf = (act: () => void): unknown => {
  try {
    act();
  } catch (error) {
    return isWaybillError(error, "WAYBILL_VALUE_INVALID") ? error.facts : error;
  }
  return null;
};
const unchecked = (value: unknown): SqlValue[] => ["first", value as SqlValue];

test("text, numbers, null and bytes pass", () => {
  expect(factsOf(() => checkSqlValues(["a", 1, null, new Uint8Array([1]), Buffer.from("a")]))).toBeNull();
});

test.each([
  ["an object", { secret: "canary" }, "object"],
  ["undefined", undefined, "undefined"],
  ["a bigint", 1n, "bigint"],
  ["a Date", new Date(0), "Date"],
  ["an array", ["a"], "array"],
  ["a boolean", true, "boolean"],
  ["a function", () => 1, "function"],
])("M11, X5 %s is refused with its position and type, and without its value", (_, value, found) => {
  expect(factsOf(() => checkSqlValues(unchecked(value)))).toEqual({ position: 2, found });
});

test("on connections of our own booleans and arrays of text pass, other arrays do not", () => {
  expect(factsOf(() => checkOwnedValues("postgres", [true, ["1", "2"], []]))).toBeNull();
  expect(factsOf(() => checkOwnedValues("postgres", [["1", 2]]))).toEqual({ position: 1, found: "array" });
  expect(factsOf(() => checkOwnedValues("postgres", [undefined]))).toEqual({ position: 1, found: "undefined" });
});

test("MySQL takes no arrays, booleans it does", () => {
  expect(factsOf(() => checkOwnedValues("mysql", [true, "1", null]))).toBeNull();
  expect(factsOf(() => checkOwnedValues("mysql", [["1"]]))).toEqual({ position: 1, found: "array" });
});

test("bytes become a Buffer over the same memory", () => {
  const bytes = new Uint8Array([1, 2, 3, 4]).subarray(1, 3);
  const [buffer] = withBuffers([bytes]);
  expect(Buffer.isBuffer(buffer) && [...buffer]).toEqual([2, 3]);
  expect((buffer as Buffer).buffer).toBe(bytes.buffer);
});
