import { waybillError, type WaybillErrorFacts } from "./errors.ts";
import { isWellFormed } from "./text.ts";

/**
 * JSON with the losses turned into errors. `JSON.stringify` alone drops functions and `undefined` array items, turns NaN into
 * null, escapes lone surrogates so that the text no longer equals what was given, and throws untyped errors for bigint and cycles.
 */

type Found = WaybillErrorFacts["WAYBILL_PAYLOAD_NOT_JSON"]["found"];

/**
 * Encodes a payload. `toJSON` is honoured (a Date becomes its ISO text); an `undefined` property is left out, as everybody
 * expects; everything else that JSON cannot carry is refused.
 *
 * @throws WAYBILL_PAYLOAD_NOT_JSON with the path of the first offender
 */
export function encodeJson(type: string, value: unknown): string {
  const inspected = inspect(type, value, "", []);
  const text = JSON.stringify(inspected) as string | undefined;
  if (text === undefined) throw notJson(type, "undefined", "");
  return text;
}

/** Walks what `JSON.stringify` will see, and gives it back with every `toJSON` applied once. */
function inspect(type: string, given: unknown, path: string, ancestors: readonly object[]): unknown {
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
  const inner = [...ancestors, value];
  if (Array.isArray(value)) return value.map((item, index) => inspect(type, item, `${path}/${index}`, inner));
  const entries: [string, unknown][] = [];
  for (const [name, property] of Object.entries(value)) {
    if (!isWellFormed(name)) throw notJson(type, "lone surrogate", path);
    if (property !== undefined) entries.push([name, inspect(type, property, `${path}/${name}`, inner)]);
  }
  // fromEntries defines properties, so a "__proto__" stays an ordinary one.
  return Object.fromEntries(entries);
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

function notJson(type: string, found: Found, path: string): Error {
  const at = path === "" ? "the payload itself" : `its value at ${path}`;
  return waybillError("WAYBILL_PAYLOAD_NOT_JSON", `The payload of ${type} is no JSON: ${at} is ${found === "malformed" ? "malformed" : `a ${found}`}.`, {
    type,
    found,
    path,
  });
}
