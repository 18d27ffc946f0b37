import { expect, test } from "vitest";
import { catalogue, message } from "./catalogue.ts";
import { type EntityVersion, entityVersionOf } from "./entity-version.ts";
import { isWaybillError } from "./errors.ts";

interface Stock {
  readonly sku: string;
  readonly version: number | bigint | string;
}
const headers = new Map<string, string>();
const versionOf = (version: unknown): EntityVersion =>
  entityVersionOf({ type: "t", topic: "stock", version: () => version as string }, { payload: {}, key: "k", headers });
const issueOf = (run: () => unknown): unknown => {
  try {
    run();
    return null;
  } catch (error) {
    return isWaybillError(error, "WAYBILL_PAYLOAD_INVALID") ? error.facts.issues[0]?.path : error;
  }
};

test.each([
  [0, 0n],
  [7, 7n],
  [9_007_199_254_740_991, 9_007_199_254_740_991n],
  [8n, 8n],
  ["0009", 9n],
  ["9223372036854775807", 9_223_372_036_854_775_807n],
])("%s is a version", (given, version) => {
  expect(versionOf(given)).toEqual({ topic: "stock", entity: "k", version });
});

test.each([
  -1,
  1.5,
  Number.NaN,
  9_007_199_254_740_992,
  -1n,
  9_223_372_036_854_775_808n,
  "9223372036854775808",
  "",
  "1.0",
  "-1",
  " 1",
  "9".repeat(100_000),
  null,
  undefined,
  {},
  true,
])("%s is no version, and the error says so without quoting it", (given) => {
  expect(issueOf(() => versionOf(given))).toBe("version");
});

test("an entity is the message's key, or what the type says; without either the error says so", () => {
  const shop = catalogue({
    source: "/shop",
    counted: message<Stock>({ type: "counted.v1", topic: "stock", version: ({ version }) => version }),
    named: message<Stock>({ type: "named.v1", topic: "stock", version: ({ version }) => version, entity: ({ sku }) => `stock/${sku}` }),
    plain: message<Stock>({ type: "plain.v1", topic: "stock" }),
  });
  const payload = { sku: "s", version: "3" };
  expect(shop.counted.entityVersion({ payload, key: "k", headers })).toEqual({ topic: "stock", entity: "k", version: 3n });
  expect(shop.named.entityVersion({ payload, key: "k", headers })).toEqual({ topic: "stock", entity: "stock/s", version: 3n });
  expect(shop.plain.entityVersion({ payload, key: "k", headers })).toBeNull();
  expect([shop.counted.hasVersion, shop.plain.hasVersion]).toEqual([true, false]);
  expect(issueOf(() => shop.counted.entityVersion({ payload, key: null, headers }))).toBe("entity");
  expect(issueOf(() => shop.counted.entityVersion({ payload, key: "k".repeat(256), headers }))).toBe("entity");
});

test("what a function throws for a payload it did not expect is an invalid version, also for a tombstone; headers help there", () => {
  const shop = catalogue({
    source: "/shop",
    counted: message<Stock>({ type: "counted.v1", topic: "stock", version: ({ version }) => version }),
    removed: message<Stock | null>({
      type: "removed.v1",
      topic: "stock",
      version: (payload, given) => payload?.version ?? given.get("v") ?? "",
    }),
  });
  expect(issueOf(() => shop.counted.entityVersion({ payload: null as unknown as Stock, key: "k", headers }))).toBe("version");
  expect(shop.removed.entityVersion({ payload: null, key: "k", headers: new Map([["v", "12"]]) })?.version).toBe(12n);
});

test("a catalogue refuses a version or an entity that is no function, and an entity without a version", () => {
  const made = (options: object) => () =>
    catalogue({ source: "/shop", counted: message<Stock>({ type: "counted.v1", topic: "stock", ...options }) });
  expect(made({ version: 3 })).toThrow("counted.version");
  expect(made({ version: () => 3, entity: "sku" })).toThrow("counted.entity");
  expect(made({ entity: () => "sku" })).toThrow("counted.entity");
});
