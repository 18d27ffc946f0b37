/**
 * Where the value of each setting comes from: flag, else environment, else configuration file, else default.
 *
 * Nothing here throws at the first mistake: problems are collected – ours, and those of the factories that take the values – and
 * reported together, each with the setting's name and its source. Values of secrets appear in none of them.
 */
import { ok } from "node:assert/strict";
import { type ConfigProblem, configProblemsOf, isWaybillError, waybillError } from "@waybill/core";
import { isObject, type Json, textOfSecret } from "./file-values.ts";
import { parseJson } from "./parse-json.ts";
import { environmentNameOf, flagOf, type Setting } from "./setting.ts";

export interface ConfigurationInputs {
  /** What the command takes. */
  readonly settings: readonly Setting<unknown>[];
  /** The names that any command takes: a file may serve several commands. */
  readonly knownNames: ReadonlySet<string>;
  /** By name, as given on the command line. */
  readonly flags: Readonly<Record<string, string>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** True: the file that `config` names is the command's own, and holds no settings. Default false. */
  readonly hasOwnFile?: boolean;
  /** An entry of a list in a file, instead of flags, environment and the file that `config` names. */
  readonly entry?: ConfigurationEntry;
  /** Throws if there is no such file. */
  readonly readFile: (path: string) => string;
}

export interface ConfigurationEntry {
  /** Settings by name. A secret is text, `{"env": NAME}` or `{"file": path}`, or a list of these. */
  readonly values: Readonly<Record<string, unknown>>;
  /** How problems name the place of a setting: `databases[0].subscriptions[1].leaseMs in relay.json`. */
  readonly placeOf: (name: string) => string;
}

export type SettingSource = "flag" | "environment" | "file" | "default";

/** A setting as it was found; a secret's value is `[redacted]`. */
export interface EffectiveSetting {
  readonly name: string;
  readonly value: string;
  readonly source: SettingSource;
}

export interface Configuration {
  /** The value; null: nothing was given, or it was wrong and is among the problems. */
  get<Value>(setting: Setting<Value>): Value | null;
  /** Notes a problem of a setting, with where its value came from. */
  complain(name: string, problem: string): void;
  /** Notes a problem at a place that is no setting of ours. */
  complainAt(place: string, problem: string): void;
  /** How problems name the place of a setting, given or not. */
  placeOf(name: string): string;
  /** Runs a factory. What it finds wrong with its options is noted under the names that `rename` gives them; then the answer is null. */
  make<Made>(factory: () => Made, rename?: (option: string) => string): Made | null;
  /** As `make`, for a factory that answers later. */
  makeLater<Made>(factory: () => Promise<Made>, rename?: (option: string) => string): Promise<Made | null>;
  /**
   * Answers the parts that were made, none of them null.
   *
   * @throws WAYBILL_CONFIG_INVALID with every problem; the first other error that a factory threw
   */
  checked<Parts extends Readonly<Record<string, unknown>>>(parts: Parts): { readonly [Name in keyof Parts]: NonNullable<Parts[Name]> };
  readonly effective: readonly EffectiveSetting[];
}

interface Found {
  readonly text: string;
  readonly source: SettingSource;
  /** How to name the place in a problem. */
  readonly place: string;
}

/** The setting that names the configuration file. */
export const configName = "config";

export function readConfiguration(inputs: ConfigurationInputs): Configuration {
  const problems: ConfigProblem[] = [];
  const errors: unknown[] = [];
  const found = new Map<string, Found>();
  const noteAt = (option: string, problem: string): void => void problems.push({ option, problem });

  const placeOf = (name: string): string => found.get(name)?.place ?? inputs.entry?.placeOf(name) ?? flagOf(name);
  const fileValues = inputs.entry === undefined ? readConfigFile(inputs, noteAt) : readEntry(inputs, inputs.entry, noteAt);
  for (const setting of inputs.settings) {
    const value = findText(setting, inputs, fileValues, noteAt);
    if (value !== null) found.set(setting.name, value);
  }

  const values = new Map<string, unknown>();
  for (const setting of inputs.settings) {
    const given = found.get(setting.name);
    if (given === undefined) continue;
    const parsed = setting.parse(given.text);
    if ("problem" in parsed) noteAt(given.place, `must be ${parsed.problem}`);
    else values.set(setting.name, parsed.value);
  }

  const complainAt = (place: string, problem: string): void => {
    if (!problems.some((known) => known.option === place && known.problem === problem)) noteAt(place, problem);
  };
  const complain = (name: string, problem: string): void => complainAt(placeOf(name), problem);

  const note = (error: unknown, rename: (option: string) => string): void => {
    const found = configProblemsOf(error);
    if (found === null) errors.push(error);
    for (const { option, problem } of found ?? []) complain(rename(option), problem);
  };

  const make = <Made>(factory: () => Made, rename: (option: string) => string = (option) => option): Made | null => {
    try {
      return factory();
    } catch (error) {
      note(error, rename);
      return null;
    }
  };

  return {
    get: <Value>(setting: Setting<Value>) => (values.get(setting.name) as Value | undefined) ?? null,
    complain,
    complainAt,
    placeOf,
    make,
    async makeLater(factory, rename = (option) => option) {
      try {
        return await factory();
      } catch (error) {
        note(error, rename);
        return null;
      }
    },
    checked(parts) {
      // A single mistake keeps its own code; one among several joins the list.
      for (const error of problems.length === 0 ? [] : errors) {
        if (isWaybillError(error, "WAYBILL_TRANSPORT_UNKNOWN")) complain("transport", error.facts.problem);
      }
      if (problems.length > 0) {
        const lines = problems.map(({ option, problem }) => `${option}: ${problem}`).join("; ");
        throw waybillError("WAYBILL_CONFIG_INVALID", `The configuration is invalid: ${lines}.`, { problems });
      }
      if (errors.length > 0) throw errors[0];
      ok(
        Object.values(parts).every((part) => part !== null && part !== undefined),
        "what is missing is among the problems",
      );
      return parts as { readonly [Name in keyof typeof parts]: NonNullable<(typeof parts)[Name]> };
    },
    effective: inputs.settings.flatMap(({ name, isSecret }) => {
      const given = found.get(name);
      return given === undefined ? [] : [{ name, value: isSecret ? "[redacted]" : given.text, source: given.source }];
    }),
  };
}

type NoteAt = (option: string, problem: string) => void;

function findText(
  setting: Setting<unknown>,
  inputs: ConfigurationInputs,
  fileValues: ReadonlyMap<string, Found>,
  noteAt: NoteAt,
): Found | null {
  const { name, defaultText } = setting;
  const given = inputs.entry === undefined ? findGiven(setting, inputs, noteAt) : undefined;
  if (given !== undefined) return given;
  const fromFile = fileValues.get(name);
  if (fromFile !== undefined) return fromFile;
  return defaultText === null ? null : { text: defaultText, source: "default", place: inputs.entry?.placeOf(name) ?? flagOf(name) };
}

/** By flag or environment; undefined: not there, null: there and unreadable. */
function findGiven(
  { name }: Setting<unknown>,
  { flags, environment, readFile }: ConfigurationInputs,
  noteAt: NoteAt,
): Found | null | undefined {
  const flag = flags[name];
  const variable = environmentNameOf(name);
  const [direct, path] = [environment[variable], environment[`${variable}_FILE`]];
  if (direct !== undefined && path !== undefined) noteAt(variable, `is given twice: ${variable} and ${variable}_FILE`);
  if (flag !== undefined) return { text: flag, source: "flag", place: flagOf(name) };
  if (direct !== undefined) return { text: direct, source: "environment", place: variable };
  if (path !== undefined) {
    try {
      // Editors and `echo` end a file with a line break that belongs to no value.
      return { text: readFile(path).replace(/\r?\n$/, ""), source: "environment", place: `${variable}_FILE` };
    } catch {
      noteAt(`${variable}_FILE`, "must name a file that can be read");
      return null;
    }
  }
  return undefined;
}

function readEntry(
  { settings, environment }: ConfigurationInputs,
  { values, placeOf }: ConfigurationEntry,
  noteAt: NoteAt,
): ReadonlyMap<string, Found> {
  const found = new Map<string, Found>();
  for (const [name, value] of Object.entries(values)) {
    const place = placeOf(name);
    const setting = settings.find((each) => each.name === name);
    const isReference = setting?.isSecret === true && !setting.isJson;
    const text = isReference ? secretTextOf(value, environment) : fileTextOf(setting, value);
    if (setting === undefined) noteAt(place, "is no setting here");
    else if (text === null) noteAt(place, isReference ? secretRule : valueRule);
    else found.set(name, { text, source: "file", place });
  }
  return found;
}

/** JSON stays what it is, unless it was written as text. */
function fileTextOf(setting: Setting<unknown> | undefined, value: unknown): string | null {
  return setting?.isJson === true && typeof value !== "string" ? JSON.stringify(value) : textOf(value);
}

const valueRule = "must be text, a number, true or false, a list of these, or an object";
const secretRule =
  'must be text, {"env": "NAME"} of a variable that is there, {"file": "path"} of a file that can be read, or a list of these';

function secretTextOf(value: unknown, environment: ConfigurationInputs["environment"]): string | null {
  if (Array.isArray(value)) {
    const parts = value.map((part) => secretTextOf(part, environment));
    return parts.includes(null) ? null : parts.join(",");
  }
  const name = isObject(value) && Object.keys(value).length === 1 ? value["env"] : undefined;
  return textOfSecret(typeof name === "string" ? environment[name] : value);
}

/** The configuration file is itself named by flag or environment. */
function readConfigFile(inputs: ConfigurationInputs, noteAt: NoteAt): ReadonlyMap<string, Found> {
  const values = new Map<string, Found>();
  const [fromFlag, fromEnvironment] = [inputs.flags[configName], inputs.environment[environmentNameOf(configName)]];
  const path = fromFlag ?? fromEnvironment;
  if (path === undefined || inputs.hasOwnFile === true) return values;
  const place = fromFlag === undefined ? environmentNameOf(configName) : flagOf(configName);
  const parsed = parseConfigFile(path, inputs.readFile);
  if (parsed.kind === "repeated") noteAt(`${parsed.at} in ${path}`, "is given twice");
  else if (parsed.kind === "malformed") noteAt(place, parsed.problem);
  if (parsed.kind !== "parsed") return values;
  for (const [name, value] of Object.entries(parsed.values)) {
    const at = `${name} in ${path}`;
    const text = fileTextOf(
      inputs.settings.find((each) => each.name === name),
      value,
    );
    if (!inputs.knownNames.has(name) || name === configName) noteAt(at, "is no setting");
    else if (text === null) noteAt(at, valueRule);
    else values.set(name, { text, source: "file", place: at });
  }
  return values;
}

type ParsedFile =
  | { readonly kind: "parsed"; readonly values: Json }
  | { readonly kind: "repeated"; readonly at: string }
  | { readonly kind: "malformed"; readonly problem: string };

function parseConfigFile(path: string, readFile: (path: string) => string): ParsedFile {
  let content: string;
  try {
    content = readFile(path);
  } catch {
    return { kind: "malformed", problem: "must name a file that can be read" };
  }
  const parsed = parseJson(content);
  if (parsed.kind === "repeated") return parsed;
  if (parsed.kind === "parsed" && isObject(parsed.value)) return { kind: "parsed", values: parsed.value };
  return { kind: "malformed", problem: "must name a file that holds one JSON object" };
}

function textOf(value: unknown): string | null {
  if (typeof value === "string") return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  if (Array.isArray(value)) {
    const parts = value.map(textOf);
    return parts.includes(null) ? null : parts.join(",");
  }
  return typeof value === "object" && value !== null ? JSON.stringify(value) : null;
}
