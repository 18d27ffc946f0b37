/**
 * One thing that can be configured. The same setting has three spellings, made from its name: `leaseMs` in a file, `--lease-ms` on the
 * command line, `WAYBILL_LEASE_MS` (and `WAYBILL_LEASE_MS_FILE`) in the environment. Whatever its source it arrives as text.
 */
import { type Secret, secret } from "@waybill/core";
import { isObject } from "./file-values.ts";
import { parseJson } from "./parse-json.ts";

/** A value, or the rule that the text breaks, in words that follow "must be". Never the text itself. */
export type Parsed<Value> = { readonly value: Value } | { readonly problem: string };

export interface Setting<Value> {
  readonly name: string;
  /** What its value is called in the help; null: a switch that needs none. */
  readonly placeholder: string | null;
  readonly description: string;
  /** Taken when nothing is given. */
  readonly defaultText: string | null;
  /** For the help: what happens when nothing is given and we have no default, because the library does. */
  readonly defaultNote: string | null;
  /** True: never shown. */
  readonly isSecret: boolean;
  /** True: may be given several times; what is given is joined by commas. */
  readonly isList: boolean;
  /** True: its text is JSON. An object in a file is its value, and never says where a secret is. */
  readonly isJson: boolean;
  parse(text: string): Parsed<Value>;
}

type Described = Partial<Pick<Setting<unknown>, "defaultText" | "defaultNote" | "placeholder">>;

/** `leaseMs` → `--lease-ms` */
export function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}

/** `leaseMs` → `WAYBILL_LEASE_MS` */
export function environmentNameOf(name: string): string {
  return `WAYBILL_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`;
}

export function text(name: string, description: string, described: Described = {}): Setting<string> {
  return setting(name, description, { placeholder: "TEXT", ...described }, (given) =>
    given === "" ? { problem: "not empty" } : { value: given },
  );
}

/** A value that is never shown. */
export function secretText(name: string, description: string, described: Described = {}): Setting<Secret> {
  const parse = (given: string): Parsed<Secret> => (given === "" ? { problem: "not empty" } : { value: secret(given) });
  return { ...setting(name, description, { placeholder: "TEXT", ...described }, parse), isSecret: true };
}

/** Several values that are never shown, separated by commas or white space. */
export function secretList(name: string, description: string, described: Described = {}): Setting<readonly Secret[]> {
  const parse = (given: string): Parsed<readonly Secret[]> => ({ value: wordsOf(given).map((word) => secret(word)) });
  return { ...setting(name, description, { placeholder: "LIST", ...described }, parse), isSecret: true, isList: true };
}

/** Several values, separated by commas or white space. */
export function list(name: string, description: string, described: Described = {}): Setting<readonly string[]> {
  return { ...setting(name, description, { placeholder: "LIST", ...described }, (given) => ({ value: wordsOf(given) })), isList: true };
}

/** A whole number. Whoever uses it checks its range, unless one is given here. */
export function wholeNumber(
  name: string,
  description: string,
  described: Described & { readonly min?: number; readonly max?: number } = {},
): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, ...others } = described;
  const rule = max === Number.MAX_SAFE_INTEGER ? "a whole number" : `a whole number from ${min} to ${max}`;
  return setting(name, description, { placeholder: name.endsWith("Ms") ? "MS" : "N", ...others }, (given) => {
    const value = Number(given);
    return /^[0-9]{1,16}$/.test(given) && value >= min && value <= max ? { value } : { problem: rule };
  });
}

/** A moment with its zone, as milliseconds since 1970. */
export function time(name: string, description: string, described: Described = {}): Setting<number> {
  return setting(name, description, { placeholder: "TIME", ...described }, (given) => {
    const value = Date.parse(given);
    const isMoment = /^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)$/.test(given) && !Number.isNaN(value);
    return isMoment ? { value } : { problem: "a moment with its zone, such as 2026-05-01T10:00:00Z" };
  });
}

export function choice<const Word extends string>(
  name: string,
  description: string,
  words: readonly Word[],
  described: Described = {},
): Setting<Word> {
  return setting(name, description, { placeholder: words.join("|"), ...described }, (given) => {
    const value = words.find((word) => word === given);
    return value === undefined ? { problem: words.join(" or ") } : { value };
  });
}

/** On the command line it stands alone; elsewhere it is `true` or `false`. */
export function switchedOn(name: string, description: string): Setting<boolean> {
  return setting(name, description, { defaultText: "false", placeholder: null }, (given) =>
    given === "true" || given === "false" ? { value: given === "true" } : { problem: "true or false" },
  );
}

/** A JSON object. */
export function jsonObject(name: string, description: string): Setting<Readonly<Record<string, unknown>>> {
  const parse = (given: string): Parsed<Readonly<Record<string, unknown>>> => {
    const parsed = parseJson(given);
    if (parsed.kind === "repeated") return { problem: `a JSON object that has no name twice, as it has ${parsed.at}` };
    return parsed.kind === "parsed" && isObject(parsed.value) ? { value: parsed.value } : { problem: "a JSON object" };
  };
  return { ...setting(name, description, { placeholder: "JSON" }, parse), isJson: true };
}

/** A JSON object that is never shown. */
export function secretObject(name: string, description: string): Setting<Readonly<Record<string, unknown>>> {
  return { ...jsonObject(name, description), isSecret: true };
}

/** A list of JSON objects, at least one. Never shown, for they may hold secrets. */
export function jsonObjects(name: string, description: string): Setting<readonly Readonly<Record<string, unknown>>[]> {
  const parse = (given: string): Parsed<readonly Readonly<Record<string, unknown>>[]> => {
    const parsed = parseJson(given);
    if (parsed.kind === "repeated") return { problem: `a list of JSON objects that have no name twice, as they have ${parsed.at}` };
    const value = parsed.kind === "parsed" ? parsed.value : null;
    if (Array.isArray(value) && value.length > 0 && value.every(isObject)) return { value };
    return { problem: "a list of JSON objects, at least one" };
  };
  return { ...setting(name, description, { placeholder: "JSON" }, parse), isSecret: true, isJson: true };
}

function wordsOf(given: string): readonly string[] {
  return given.split(/[\s,]+/).filter((word) => word !== "");
}

function setting<Value>(name: string, description: string, described: Described, parse: (given: string) => Parsed<Value>): Setting<Value> {
  const { defaultText = null, defaultNote = null, placeholder = null } = described;
  return { name, placeholder, description, defaultText, defaultNote, isSecret: false, isList: false, isJson: false, parse };
}
