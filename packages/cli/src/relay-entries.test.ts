import { isWaybillError } from "@waybill/core";
import { describe, expect, test } from "vitest";
import { type Configuration, readConfiguration } from "./configuration.ts";
import { effectiveSettings, gatherProblems, type RelayEntry, relayEntries, relaySettings } from "./relay-entries.ts";
import { admin, config, databases, leaseMs, signingSecrets, totalNumbers, transportOptions } from "./settings.ts";

const settings = [...relaySettings, databases, ...totalNumbers, admin, config];

function read(
  file: object,
  { flags = {}, environment = {} }: { readonly flags?: Record<string, string>; readonly environment?: Record<string, string> } = {},
): { readonly configuration: Configuration; readonly entries: readonly RelayEntry[]; readonly problems: readonly string[] } {
  const configuration = readConfiguration({
    settings,
    knownNames: new Set(settings.map(({ name }) => name)),
    flags: { config: "relay.json", ...flags },
    environment,
    readFile: () => JSON.stringify(file),
  });
  const entries = relayEntries(configuration, environment);
  gatherProblems(configuration, entries);
  let problems: readonly string[] = [];
  try {
    configuration.checked({});
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_CONFIG_INVALID")) throw error;
    problems = error.facts.problems.map(({ option, problem }) => `${option}: ${problem}`);
  }
  return { configuration, entries, problems };
}

const shop = {
  name: "shop",
  database: "postgres://app:canary1@db.example/shop",
  subscriptions: [{ transport: "https://canary2@x.example/" }],
};

describe("the relays of a process", () => {
  test("without databases there is one, of the settings themselves", () => {
    const { configuration, entries, problems } = read({ subscription: "kafka", leaseMs: 3_000 });
    expect(problems).toEqual([]);
    expect(entries).toMatchObject([{ name: "default/kafka", databaseName: null, configuration }]);
    expect(effectiveSettings(configuration, entries)).toBe(configuration.effective);
  });

  test("each subscription of each database is one, with its own settings and secrets by file or environment", () => {
    const { configuration, entries, problems } = read(
      {
        admin: "off",
        databases: [
          {
            name: "shop",
            database: { env: "SHOP" },
            schema: "app",
            subscriptions: [
              {
                subscription: "kafka",
                transport: "./module.js",
                transportOptions: { file: "canary" },
                leaseMs: 3_000,
                onlyTopics: ["a", "b*"],
                keyPolicies: { a: "stop" },
              },
              { subscription: "http", stream: "second", transport: "https://x.example/", signingSecrets: ["whsec_1", { env: "SIGN" }] },
            ],
          },
          { name: "billing", database: "mysql://billing.example/b", subscriptions: [{ transport: "kafka://k.example" }] },
        ],
      },
      { environment: { SHOP: "postgres://app:canary@db.example/shop", SIGN: "whsec_2" } },
    );
    expect(problems).toEqual([]);
    expect(entries.map(({ name, databaseName }) => [name, databaseName])).toEqual([
      ["shop/default/kafka", "shop"],
      ["shop/second/http", "shop"],
      ["billing/default/default", "billing"],
    ]);
    expect(entries.map((entry) => entry.configuration.get(leaseMs))).toEqual([3_000, null, null]);
    expect(entries[0]?.configuration.get(transportOptions)).toEqual({ file: "canary" });
    expect(entries[1]?.configuration.get(signingSecrets)?.map((one) => one.reveal())).toEqual(["whsec_1", "whsec_2"]);
    const effective = effectiveSettings(configuration, entries);
    expect(effective).toContainEqual({ name: "databases[0].database", value: "[redacted]", source: "file" });
    expect(effective).toContainEqual({ name: "databases[0].subscriptions[0].leaseMs", value: "3000", source: "file" });
    expect(effective).toContainEqual({ name: "admin", value: "off", source: "file" });
    expect(new Set(effective.map(({ name }) => name)).size).toBe(effective.length);
    expect(JSON.stringify(effective)).not.toMatch(/canary|whsec/);
  });

  test("what is wrong is told all at once, with its place in the file, and no secret", () => {
    const { problems } = read({
      databases: [
        {
          ...shop,
          leaseMs: 1,
          subscriptions: [
            { leeseMs: 1, transport: "https://x.example/" },
            { subscription: "b", leaseMs: "soon", database: "postgres://canary@h/d", signingSecrets: { env: "NOWHERE" } },
            3,
          ],
        },
        { ...shop, database: { file: "/nowhere/canary" }, subscriptions: [] },
        { database: 5, subscriptions: [{}] },
      ],
    });
    expect(problems.map((problem) => problem.split(": ")[0])).toEqual([
      "databases[0].leaseMs in relay.json",
      "databases[0].subscriptions[1].database in relay.json",
      "databases[0].subscriptions[2] in relay.json",
      "databases[1].name in relay.json",
      "databases[1].subscriptions in relay.json",
      "databases[2].name in relay.json",
      "databases[0].subscriptions[0].leeseMs in relay.json",
      "databases[0].subscriptions[1].signingSecrets in relay.json",
      "databases[0].subscriptions[1].leaseMs in relay.json",
      "databases[2].database in relay.json",
    ]);
    expect(problems.join("\n")).not.toContain("canary");
  });

  test("one subscription twice is refused, also by another spelling of its database", () => {
    const twice = (other: object): readonly string[] => read({ databases: [shop, { ...shop, name: "again", ...other }] }).problems;
    const same =
      "databases[1].subscriptions[0] in relay.json: is the same subscription of the same database as databases[0].subscriptions[0]";
    expect(twice({})).toEqual([same]);
    expect(twice({ database: "postgresql://app@DB.example:5432/shop?sslmode=require" })).toEqual([same]);
    expect(twice({ schema: "other" })).toEqual([]);
    expect(twice({ subscriptions: [{ subscription: "another" }] })).toEqual([]);
    expect(read({ databases: [{ ...shop, subscriptions: [{}, { stream: "default" }] }] }).problems).toHaveLength(1);
  });

  test("settings of one relay beside databases are refused, whatever they come from", () => {
    const { problems } = read(
      { databases: [shop], leaseMs: 5_000 },
      { flags: { subscription: "a" }, environment: { WAYBILL_DATABASE: "postgres://canary@h/d" } },
    );
    expect(new Set(problems.map((problem) => problem.split(": ")[0]))).toEqual(
      new Set(["--subscription", "leaseMs in relay.json", "WAYBILL_DATABASE"]),
    );
  });

  test.each([{ databases: [] }, { databases: "x" }, { databases: [1] }, { databases: [[shop]] }, { databases: shop }])(
    "what is no list of databases is refused: %#",
    (file) => {
      const { problems, entries } = read(file);
      expect(problems).toEqual(["databases in relay.json: must be a list of JSON objects, at least one"]);
      expect(entries).toEqual([]);
    },
  );
});
