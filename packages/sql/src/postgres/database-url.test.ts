import { inspect } from "node:util";
import { isWaybillError, secret } from "@waybill/core";
import { expect, test } from "vitest";
import { openDatabase } from "../open-database.ts";
import { checkDatabaseUrl } from "./database-url.ts";

const caught = (act: () => unknown): unknown => {
  try {
    act();
  } catch (error) {
    return error;
  }
  return null;
};

test.each([
  "postgres://user:pass@localhost:5432/shop",
  "postgresql://localhost/shop?sslmode=verify-full",
  "postgres://user@/shop?host=/run/postgresql",
  "postgres://user:p%40ss@[::1]:5432/shop",
])("%s is accepted", (url) => {
  expect(checkDatabaseUrl(url)).toBe(url);
  expect(checkDatabaseUrl(secret(url))).toBe(url);
});

test.each([
  ["another database's", "mssql://root:canary@localhost/shop", /postgres:\/\/, postgresql:\/\/, mysql:\/\/ or mariadb:\/\//],
  ["no URL", "canary", /must be a URL/],
  ["empty", "", /must be a URL/],
  ["a malformed one", "postgres://user:canary@localhost:port/shop", /malformed/],
  ["one whose password is not encoded", "postgres://user:canary%zz@localhost/shop", /malformed/],
])("%s is refused by its kind and never shown", (_, url, problem) => {
  const error = caught(() => openDatabase({ url }));
  expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID") && error.facts.problems[0]?.problem).toMatch(problem);
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
});

test("all options that are out of range are reported together", () => {
  const error = caught(() =>
    openDatabase({ url: "postgres://localhost/shop", connections: 0, statementDeadlineMs: 1.5, connectDeadlineMs: -1 }),
  );
  expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID") && error.facts.problems.map(({ option }) => option)).toEqual([
    "connections",
    "statementDeadlineMs",
    "connectDeadlineMs",
  ]);
});
