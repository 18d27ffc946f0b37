/**
 * Reads what came as JSON, field by field, and collects all that is wrong with it: where, and which rule, never what was found. Fields that are not
 * known are refused by name, for a misspelt option that is ignored is worse than a refused call.
 */
import { isWellFormed } from "@waybill/core";
import { type FieldError, type ProblemCode, type ProblemFacts, problem } from "./problem.ts";

/** What is wrong with one request. */
export interface Complaints {
  /** It cannot be read so. */
  malformed(field: string, why: string): void;
  /** It can be read, and is too much. */
  exceeds(field: string, why: string): void;
  /** @throws ApiProblem malformed_request or limit_exceeded with all complaints, if there are any */
  throwIfAny(facts?: ProblemFacts): void;
}

/** As many complaints as are told. */
const errorsMax = 50;

export function complaints(): Complaints {
  const errors: FieldError[] = [];
  let code: ProblemCode = "limit_exceeded";
  const add = (field: string, why: string): void => {
    if (errors.length < errorsMax) errors.push({ field, why });
  };
  return {
    malformed(field, why) {
      code = "malformed_request";
      add(field, why);
    },
    exceeds: add,
    throwIfAny(facts = {}) {
      if (errors.length > 0) throw problem(code, { ...facts, errors });
    },
  };
}

/** An object's fields as they came. */
export type Fields = Readonly<Record<string, unknown>>;

/** The fields of an object; none if it is no object. */
export function readObject(value: unknown, at: string, known: readonly string[], to: Complaints): Fields {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    to.malformed(at, "must be an object");
    return {};
  }
  for (const name of Object.keys(value)) if (!known.includes(name)) to.malformed(path(at, shown(name)), "is unknown");
  return value as Fields;
}

/** A text that keeps a rule; `rule` answers what it breaks ("must be …"), or null. undefined: it was not given, or is wrong. */
export function readText(
  fields: Fields,
  name: string,
  at: string,
  to: Complaints,
  rule: (text: string) => string | null,
): string | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string") {
    to.malformed(path(at, name), "must be text");
    return undefined;
  }
  const broken = rule(value);
  if (broken === null) return value;
  to.malformed(path(at, name), `must be ${broken}`);
  return undefined;
}

/** A whole number within bounds. */
export function readInteger(
  fields: Fields,
  name: string,
  at: string,
  to: Complaints,
  bounds: { readonly min: number; readonly max: number },
): number | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  const { min, max } = bounds;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= min && value <= max) return value;
  to.malformed(path(at, name), `must be a whole number from ${min} to ${max}`);
  return undefined;
}

export function readBoolean(fields: Fields, name: string, at: string, to: Complaints): boolean | undefined {
  const value = fields[name];
  if (value === undefined || typeof value === "boolean") return value;
  to.malformed(path(at, name), "must be true or false");
  return undefined;
}

export function readArray(
  fields: Fields,
  name: string,
  at: string,
  to: Complaints,
  bounds: { readonly min: number; readonly max: number },
): readonly unknown[] | undefined {
  const value = fields[name];
  if (value === undefined) return undefined;
  if (!Array.isArray(value)) {
    to.malformed(path(at, name), "must be an array");
    return undefined;
  }
  if (value.length < bounds.min) to.malformed(path(at, name), `must have ${bounds.min} or more`);
  if (value.length > bounds.max) to.exceeds(path(at, name), `must have no more than ${bounds.max}`);
  return value.length > bounds.max ? [] : value;
}

/** Complains unless it was given. */
export function require(fields: Fields, names: readonly string[], at: string, to: Complaints): void {
  for (const name of names) if (fields[name] === undefined) to.malformed(path(at, name), "is needed");
}

export function path(at: string, name: string): string {
  return at === "" ? name : `${at}.${name}`;
}

/** A name that came from outside, short and printable. */
function shown(name: string): string {
  return name.slice(0, 64).replace(/[^\x20-\x7e]/g, "?");
}

const reasonLengthMax = 500;

/** What a human wrote. */
export function reasonProblem(text: string): string | null {
  const isUsable = text.length > 0 && text.length <= reasonLengthMax && isWellFormed(text) && !/\p{Cc}/u.test(text);
  return isUsable ? null : `1 to ${reasonLengthMax} characters without control characters`;
}

const listMax = 200;

/** How many items a list may have. */
export function readLimit(query: URLSearchParams): number {
  const text = query.get("limit") ?? "100";
  const limit = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= listMax) return limit;
  throw problem("malformed_request", { errors: [{ field: "limit", why: `must be a whole number from 1 to ${listMax}` }] });
}
