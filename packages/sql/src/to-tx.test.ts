import { isWaybillError } from "@waybill/core";
import knex from "knex";
import mysql from "mysql2";
import mysqlPromise from "mysql2/promise";
import pg from "pg";
import { expect, test } from "vitest";
import { openDatabase } from "./open-database.ts";
import { type TransactionHandle, toTx } from "./to-tx.ts";
import type { Tx } from "./tx.ts";

const refusal = (handle: unknown): unknown => {
  try {
    toTx(handle as TransactionHandle);
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_NOT_IN_TRANSACTION")) return error.facts.handle;
    return isWaybillError(error) ? error.code : error;
  }
  return null;
};

test("a Tx of one's own making passes through as it is", () => {
  const own: Tx = { dialect: "postgres", query: () => Promise.resolve([]) };
  expect(toTx(own)).toBe(own);
});

test("a pg pool is refused", () => {
  expect(refusal(new pg.Pool())).toBe("pool");
});

test("a database of ours is refused", () => {
  expect(refusal(openDatabase({ url: "postgres://localhost/shop" }))).toBe("pool");
  expect(refusal(openDatabase({ url: "mysql://localhost/shop" }))).toBe("pool");
});

test("a pg client that is not connected is refused", () => {
  expect(refusal(new pg.Client())).toBe("autocommit");
});

test.each(["pg", "mysql2"])("X4 a bare knex on %s is refused, also where a transaction is meant", (client) => {
  expect(refusal(knex({ client }))).toBe("knex");
});

test("a pool of mysql2 is refused, with promises and with callbacks", async () => {
  const pools = [mysqlPromise.createPool("mysql://localhost/shop"), mysql.createPool("mysql://localhost/shop")];
  expect(pools.map(refusal)).toEqual(["pool", "pool"]);
  for (const pool of pools) await Promise.resolve(pool.end());
});

test("a connection of the older mysql library is refused: it tells nothing of its transaction", () => {
  expect(refusal({ query: () => undefined, escapeId: () => "", state: "authenticated" })).toBe("unknown");
});

test("a knex transaction on another database is refused with its name", () => {
  const handle = Object.assign(() => undefined, {
    raw: () => undefined,
    isTransaction: true,
    isCompleted: () => false,
    client: { dialect: "sqlite3" },
  });
  expect(refusal(handle)).toBe("WAYBILL_CONFIG_INVALID");
});

test.each([
  ["null", null],
  ["undefined", undefined],
  ["a URL", "postgres://localhost/shop"],
  ["a plain object", {}],
  ["a Tx of a dialect that there is not", { dialect: "sqlite", query: () => Promise.resolve([]) }],
  ["an object whose query is no function", { dialect: "postgres", query: "select 1" }],
])("%s is refused", (_, handle) => {
  expect(refusal(handle)).toBe("unknown");
});
