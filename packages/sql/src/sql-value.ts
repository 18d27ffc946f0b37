import { waybillError } from "@waybill/core";
import type { Dialect, SqlValue } from "./tx.ts";

/**
 * Checks the values of one statement. What the types refuse is refused at run time, too: drivers turn an object into
 * `[object Object]` or into SQL, and `undefined` into null.
 *
 * @throws WAYBILL_VALUE_INVALID with the position, never the value
 */
export function checkSqlValues(values: readonly SqlValue[]): void {
  for (let index = 0; index < values.length; index++) {
    if (!isSqlValue(values[index])) throw invalid(index, values[index]);
  }
}

/** As `checkSqlValues`, for connections of our own, where booleans and, on PostgreSQL, arrays of text are allowed, too. */
export function checkOwnedValues(dialect: Dialect, values: readonly unknown[]): void {
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (isSqlValue(value) || typeof value === "boolean" || (dialect === "postgres" && isTextArray(value))) continue;
    throw invalid(index, value);
  }
}

/** The same values, in a list of their own, with bytes as `Buffer`, the one form that every driver sends as bytes. No copy of the bytes is made. */
export function withBuffers<Value>(values: readonly Value[]): (Value | Buffer)[] {
  const own: (Value | Buffer)[] = values.slice();
  for (let index = 0; index < own.length; index += 1) {
    const value: unknown = own[index];
    if (!(value instanceof Uint8Array) || Buffer.isBuffer(value)) continue;
    own[index] = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  return own;
}

function isSqlValue(value: unknown): value is SqlValue {
  return typeof value === "string" || typeof value === "number" || value === null || value instanceof Uint8Array;
}

function isTextArray(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((element) => typeof element === "string");
}

function invalid(index: number, value: unknown): Error {
  const found = Array.isArray(value) ? "array" : value instanceof Date ? "Date" : typeof value;
  const position = index + 1;
  return waybillError(
    "WAYBILL_VALUE_INVALID",
    `Value ${position} of the statement is of type ${found}. Pass text, a number, null or a Uint8Array: 64-bit numbers and times as text.`,
    { position, found },
  );
}
