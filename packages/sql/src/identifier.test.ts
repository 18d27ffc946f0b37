import { isWaybillError } from "@waybill/core";
import fc from "fast-check";
import { expect, test } from "vitest";
import { checkName, namespace, schemaOf, tableOf } from "./identifier.ts";

const caught = (act: () => unknown): unknown => {
  try {
    return act();
  } catch (error) {
    return error;
  }
};

test("a table is its prefix and name, quoted, inside its schema if there is one", () => {
  expect(tableOf(namespace("postgres"), "outbox")).toBe('"waybill_outbox"');
  expect(tableOf(namespace("postgres", { schema: "App", prefix: "wb_" }), "outbox")).toBe('"App"."wb_outbox"');
  expect(tableOf(namespace("mysql", { schema: "app" }), "outbox")).toBe("`app`.`waybill_outbox`");
});

test("a schema by itself is quoted, and null where the connection decides", () => {
  expect(schemaOf(namespace("postgres", { schema: "App" }))).toBe('"App"');
  expect(schemaOf(namespace("postgres"))).toBeNull();
});

test.each([
  ["", "empty"],
  ["a.b", "two names"],
  ['a"b', "a quote"],
  ["a b", "a space"],
  ["1a", "a digit first"],
  ["ä", "not ASCII"],
  ["a".repeat(64), "too long"],
  ["a;drop table b", "a statement"],
])("%j is no name: %s", (name) => {
  const error = caught(() => checkName("schema", name));
  expect(isWaybillError(error, "WAYBILL_IDENTIFIER_INVALID") && error.facts).toEqual({ what: "schema" });
});

test("M12 a name that is accepted never contains anything but letters, digits and underscores, so that a dot cannot make it two", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const postgres = caught(() => tableOf(namespace("postgres", { schema: text }), "outbox"));
      expect(postgres instanceof Error || /^"\w{1,63}"\."waybill_outbox"$/.test(postgres as string)).toBe(true);
      const mysql = caught(() => tableOf(namespace("mysql", { schema: text }), "outbox"));
      expect(mysql instanceof Error || /^`\w{1,63}`\.`waybill_outbox`$/.test(mysql as string)).toBe(true);
    }),
  );
});

test("a prefix in capitals is refused, because migrations say it without quotes", () => {
  expect(
    isWaybillError(
      caught(() => namespace("postgres", { prefix: "Wb_" })),
      "WAYBILL_IDENTIFIER_INVALID",
    ),
  ).toBe(true);
});

test("a prefix that makes a table's name too long is refused", () => {
  const space = namespace("postgres", { prefix: "a".repeat(60) });
  expect(
    isWaybillError(
      caught(() => tableOf(space, "outbox")),
      "WAYBILL_IDENTIFIER_INVALID",
    ),
  ).toBe(true);
});
