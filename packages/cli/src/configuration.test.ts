import { isWaybillError, throwConfigProblems, waybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { choice, environmentNameOf, flagOf, list, type Setting, secretText, switchedOn, text, wholeNumber } from "./setting.ts";
import { config } from "./settings.ts";

const database = secretText("database", "");
const leaseMs = wholeNumber("leaseMs", "", { min: 500, max: 3_600_000 });
const admin = text("admin", "", { defaultText: "127.0.0.1:7410" });
const keyPolicy = choice("keyPolicy", "", ["hold", "skip"]);
const ranges = list("ranges", "");
const dryRun = switchedOn("dryRun", "");
const settings: readonly Setting<unknown>[] = [database, leaseMs, admin, keyPolicy, ranges, dryRun, config];

interface Given {
  readonly flags?: Record<string, string>;
  readonly environment?: Record<string, string>;
  readonly files?: Record<string, string>;
}

function read({ flags = {}, environment = {}, files = {} }: Given): Configuration {
  return readConfiguration({
    settings,
    knownNames: new Set([...settings.map(({ name }) => name), "batchMax"]),
    flags,
    environment,
    readFile: (path) => {
      const content = files[path];
      if (content === undefined) throw new Error(`ENOENT: ${path}`);
      return content;
    },
  });
}

function problemsOf(configuration: Configuration): readonly string[] {
  try {
    configuration.checked({});
    return [];
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_CONFIG_INVALID")) return error.facts.problems.map(({ option, problem }) => `${option} ${problem}`);
    throw error;
  }
}

describe("names", () => {
  test.each([
    ["leaseMs", "--lease-ms", "WAYBILL_LEASE_MS"],
    ["database", "--database", "WAYBILL_DATABASE"],
    ["httpDeadlineMs", "--http-deadline-ms", "WAYBILL_HTTP_DEADLINE_MS"],
  ])("%s is %s and %s", (name, flag, variable) => {
    expect([flagOf(name), environmentNameOf(name)]).toEqual([flag, variable]);
  });
});

describe("configuration", () => {
  const file = { "c.json": '{"leaseMs": 4000, "keyPolicy": "skip", "ranges": ["10.0.0.0/8", "fd00::/8"], "dryRun": true, "batchMax": 7}' };

  test("a flag wins over the environment, that over the file, that over the default", () => {
    const environment = { WAYBILL_LEASE_MS: "3000", WAYBILL_CONFIG: "c.json" };
    expect(read({ flags: { leaseMs: "2000" }, environment, files: file }).get(leaseMs)).toBe(2_000);
    expect(read({ environment, files: file }).get(leaseMs)).toBe(3_000);
    expect(read({ flags: { config: "c.json" }, files: file }).get(leaseMs)).toBe(4_000);
    expect(read({}).get(leaseMs)).toBeNull();
    expect(read({}).get(admin)).toBe("127.0.0.1:7410");
  });

  test("where a value came from is told, and a secret's value is not", () => {
    const configuration = read({
      flags: { leaseMs: "2000" },
      environment: { WAYBILL_DATABASE: "postgres://u:canary@h/d", WAYBILL_CONFIG: "c.json" },
      files: file,
    });
    expect(configuration.effective).toEqual([
      { name: "database", value: "[redacted]", source: "environment" },
      { name: "leaseMs", value: "2000", source: "flag" },
      { name: "admin", value: "127.0.0.1:7410", source: "default" },
      { name: "keyPolicy", value: "skip", source: "file" },
      { name: "ranges", value: "10.0.0.0/8,fd00::/8", source: "file" },
      { name: "dryRun", value: "true", source: "file" },
      { name: "config", value: "c.json", source: "environment" },
    ]);
    expect(configuration.get(database)?.reveal()).toBe("postgres://u:canary@h/d");
    expect(configuration.get(ranges)).toEqual(["10.0.0.0/8", "fd00::/8"]);
    expect(configuration.get(dryRun)).toBe(true);
    expect(problemsOf(configuration)).toEqual([]);
  });

  test("a value is read from the file that a variable ending in _FILE names, without its last line break", () => {
    const configuration = read({
      environment: { WAYBILL_DATABASE_FILE: "/run/secrets/db" },
      files: { "/run/secrets/db": "postgres://h/d\n" },
    });
    expect(configuration.get(database)?.reveal()).toBe("postgres://h/d");
  });

  test("both forms at once are a mistake, whichever would win", () => {
    const environment = { WAYBILL_DATABASE: "a", WAYBILL_DATABASE_FILE: "b" };
    expect(problemsOf(read({ environment, files: { b: "c" } }))).toEqual([
      "WAYBILL_DATABASE is given twice: WAYBILL_DATABASE and WAYBILL_DATABASE_FILE",
    ]);
  });

  test("everything that is wrong is reported at once, with its source and without its value", () => {
    const configuration = read({
      flags: { leaseMs: "canary", config: "c.json" },
      environment: { WAYBILL_KEY_POLICY: "canary", WAYBILL_DATABASE_FILE: "/nowhere" },
      files: { "c.json": '{"admin": "", "dryRun": "canary", "leaseMS": 1, "ranges": {"a": null}, "config": "x", "batchMax": null}' },
    });
    configuration.make(() => throwConfigProblems("The factory", [{ option: "leaseMs", problem: "at least 500" }]));
    configuration.make(
      () => throwConfigProblems("The factory", [{ option: "secrets", problem: "must be at most 2" }]),
      () => "database",
    );
    const problems = problemsOf(configuration);
    expect(problems).toEqual([
      "leaseMS in c.json is no setting",
      "config in c.json is no setting",
      "batchMax in c.json must be text, a number, true or false, a list of these, or an object",
      "WAYBILL_DATABASE_FILE must name a file that can be read",
      "--lease-ms must be a whole number from 500 to 3600000",
      "admin in c.json must be not empty",
      "WAYBILL_KEY_POLICY must be hold or skip",
      "dryRun in c.json must be true or false",
      "--lease-ms at least 500",
      "--database must be at most 2",
    ]);
    expect(problems.join()).not.toContain("canary");
  });

  test.each([
    ["no file", {}, "--config must name a file that can be read"],
    ["no JSON", { "c.json": '{"database": "canary' }, "--config must name a file that holds one JSON object"],
    ["a list", { "c.json": "[]" }, "--config must name a file that holds one JSON object"],
    ["giving a setting twice", { "c.json": '{"leaseMs": 1000, "leaseMs": 2000}' }, "leaseMs in c.json is given twice"],
  ])("a configuration file that is %s is a mistake", (_what, files, problem) => {
    expect(problemsOf(read({ flags: { config: "c.json" }, files }))).toEqual([problem]);
  });

  test.each(["-1", "1.5", "1e3", "0x10", " 5", "", "499", "3600001"])("%j is no number for a setting from 500 to 3600000", (given) => {
    expect(problemsOf(read({ flags: { leaseMs: given } }))).toEqual(["--lease-ms must be a whole number from 500 to 3600000"]);
  });

  test("a transport that is unknown keeps its own code when it is the only mistake, and joins the list otherwise", () => {
    const fail = (): never => {
      throw waybillError("WAYBILL_TRANSPORT_UNKNOWN", "no", { problem: "there is no transport for x://", known: [] });
    };
    const alone = read({});
    alone.make(fail);
    expect(() => alone.checked({})).toThrow(expect.objectContaining({ code: "WAYBILL_TRANSPORT_UNKNOWN" }));
    const among = read({ flags: { leaseMs: "0" } });
    among.make(fail);
    expect(problemsOf(among)).toEqual([
      "--lease-ms must be a whole number from 500 to 3600000",
      "--transport there is no transport for x://",
    ]);
  });

  test("an error that is no mistake of the configuration passes through", () => {
    const configuration = read({});
    configuration.make(() => {
      throw new RangeError("a bug");
    });
    expect(() => configuration.checked({})).toThrow(RangeError);
  });
});
