import { types } from "node:util";
import { type WaybillErrorFacts, waybillError } from "./errors.ts";
import { isWellFormed } from "./text.ts";

/**
 * JSON with the losses turned into errors. `JSON.stringify` alone drops functions and `undefined` array items, turns NaN into
 * null and a Map into `{}`, escapes lone surrogates so that the text no longer equals what was given, and throws untyped errors
 * for bigint and cycles.
 */

type Found = WaybillErrorFacts["WAYBILL_PAYLOAD_NOT_JSON"]["found"];

/** Deeper data is a mistake, or would be one for whoever reads it by recursion. Also ends a `toJSON` that makes ever new objects. */
const depthMax = 500;

/** A path is there to find the place; property names can be as long as a payload. */
const pathLengthMax = 200;

/**
 * Encodes a payload. `toJSON` is honoured (a Date becomes its ISO text); an `undefined` property is left out and -0 is 0, as
 * everybody expects; everything else that JSON cannot carry is refused.
 *
 * @throws WAYBILL_PAYLOAD_NOT_JSON with the path of the first offender
 */
export function encodeJson(type: string, value: unknown): string {
  return JSON.stringify(isPlain(value, plainDepthMax) ? value : inspect(type, value, "", []));
}

/** Deep enough for nearly every payload; a cycle is deeper, and is left to `inspect`. */
const plainDepthMax = 50;

/**
 * True for data that JSON carries as it is, which is nearly all there is: finding that out takes a tenth of the time of `inspect`,
 * which copies what it sees and knows where it is. False says nothing.
 */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return isWellFormed(value);
    case "number":
      return Number.isFinite(value);
    case "boolean":
      return true;
    case "object":
      return value === null || (depth > 0 && (Array.isArray(value) ? isPlainList(value, depth) : isPlainObject(value, depth)));
    default:
      return false;
  }
}

function isPlainList(list: readonly unknown[], depth: number): boolean {
  if (Object.getPrototypeOf(list) !== Array.prototype || "toJSON" in list) return false;
  for (let index = 0; index < list.length; index += 1) if (!isPlain(list[index], depth - 1)) return false;
  return true;
}

function isPlainObject(value: object, depth: number): boolean {
  if (Object.getPrototypeOf(value) !== Object.prototype || "toJSON" in value) return false;
  for (const name in value) {
    const property = (value as Readonly<Record<string, unknown>>)[name];
    if (!isWellFormed(name) || (property !== undefined && !isPlain(property, depth - 1))) return false;
  }
  return true;
}

/** Walks what `JSON.stringify` will see, and gives it back with every `toJSON` applied once. */
function inspect(type: string, given: unknown, path: string, ancestors: readonly object[]): unknown {
  if (given instanceof Date && Number.isNaN(given.getTime())) throw notJson(type, "invalid date", path);
  const value = applyToJson(given, path);
  switch (typeof value) {
    case "string":
      if (!isWellFormed(value)) throw notJson(type, "lone surrogate", path);
      return value;
    case "number":
      if (!Number.isFinite(value)) throw notJson(type, "not a finite number", path);
      return value;
    case "boolean":
      return value;
    case "object":
      return value === null ? null : inspectObject(type, value, path, ancestors);
    default:
      throw notJson(type, typeof value as Found, path);
  }
}

function inspectObject(type: string, value: object, path: string, ancestors: readonly object[]): unknown {
  if (ancestors.includes(value)) throw notJson(type, "cycle", path);
  if (ancestors.length >= depthMax) throw notJson(type, "nested too deeply", path);
  if (hidesItsContent(value)) throw notJson(type, "not plain data", path);
  const inner = [...ancestors, value];
  // Array.from, for `map` passes by the holes of a sparse array.
  if (Array.isArray(value)) return Array.from(value, (item, index) => inspect(type, item, `${path}/${index}`, inner));
  const entries: [string, unknown][] = [];
  for (const [name, property] of Object.entries(value)) {
    if (!isWellFormed(name)) throw notJson(type, "lone surrogate", path);
    if (property !== undefined) entries.push([name, inspect(type, property, `${path}/${name}`, inner)]);
  }
  // fromEntries defines properties, so a "__proto__" stays an ordinary one.
  return Object.fromEntries(entries);
}

/** True for objects whose content is not in their properties: JSON would make `{}` of them, or a list of bytes by number. */
function hidesItsContent(value: object): boolean {
  return (
    types.isMap(value) ||
    types.isSet(value) ||
    types.isWeakMap(value) ||
    types.isWeakSet(value) ||
    types.isPromise(value) ||
    types.isRegExp(value) ||
    types.isNativeError(value) ||
    types.isBoxedPrimitive(value) ||
    types.isAnyArrayBuffer(value) ||
    ArrayBuffer.isView(value)
  );
}

function applyToJson(value: unknown, path: string): unknown {
  const hasToJson = typeof value === "object" && value !== null && "toJSON" in value && typeof value.toJSON === "function";
  return hasToJson ? (value as { toJSON(key: string): unknown }).toJSON(path.slice(path.lastIndexOf("/") + 1)) : value;
}

/**
 * Parses a payload that arrived.
 *
 * @throws WAYBILL_PAYLOAD_NOT_JSON if it is not UTF-8 or not JSON; the parser's own message would quote the payload and is dropped
 */
export function decodeJson(type: string, payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: false }).decode(payload)) as unknown;
  } catch {
    throw notJson(type, "malformed", "");
  }
}

const wording: Readonly<Record<Found, string>> = {
  bigint: "a bigint; write it as text",
  cycle: "inside itself",
  "not a finite number": "not a finite number",
  "lone surrogate": "a text, or has a property name, with half of a surrogate pair",
  undefined: "undefined",
  function: "a function",
  symbol: "a symbol",
  "invalid date": "an invalid date",
  "not plain data": "no plain data; turn it into objects, lists and text first",
  "nested too deeply": `more than ${depthMax} levels deep`,
  malformed: "malformed",
};

function notJson(type: string, found: Found, path: string): Error {
  const shown = path.length <= pathLengthMax ? path : `${path.slice(0, pathLengthMax)}…`;
  const at = path === "" ? "the payload itself" : `its value at ${shown}`;
  return waybillError("WAYBILL_PAYLOAD_NOT_JSON", `The payload of ${type} is no JSON: ${at} is ${wording[found]}.`, {
    type,
    found,
    path: shown,
  });
}
