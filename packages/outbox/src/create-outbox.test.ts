import { catalogue, isWaybillError, message } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import { expect, it } from "vitest";
import { createOutbox } from "./create-outbox.ts";

const shop = catalogue({ source: "/order-service", placed: message<number>({ type: "shop.order.placed.v1", topic: "orders" }) });
const [a, b, c] = [shop.placed(1), shop.placed(2), shop.placed(3)];
const { append } = createOutbox();

interface Ended {
  /** How many ids were answered, or the error's code. */
  readonly answer: number | string;
  readonly message: string;
  readonly statements: readonly string[];
}

/** Calls `append` as JavaScript may, with a transaction that takes every statement down. */
async function call(...rest: readonly unknown[]): Promise<Ended> {
  const statements: string[] = [];
  const tx: Tx = {
    dialect: "postgres",
    query: async (sql) => {
      statements.push(sql.trim().split(" ").slice(0, 2).join(" "));
      return [];
    },
  };
  try {
    const ids = await (append as (...given: readonly unknown[]) => Promise<readonly string[]>)(tx, ...rest);
    return { answer: ids.length, message: "", statements };
  } catch (error) {
    if (!isWaybillError(error)) throw error;
    return { answer: error.code, message: error.message, statements };
  }
}

it.each<[string, number, readonly unknown[]]>([
  ["nothing", 0, []],
  ["an empty array", 0, [[]]],
  ["a message", 1, [a]],
  ["messages", 3, [a, b, c]],
  ["an array", 2, [[a, b]]],
  ["a message and options", 1, [a, { onRepeatedId: "ignore" }]],
  ["an array and options", 2, [[a, b], { onRepeatedId: "error", serialiseKey: false }]],
  ["empty options", 2, [[a, b], {}]],
  ["options that are undefined", 1, [[a], { serialiseKey: undefined, onRepeatedId: undefined }]],
  ["no options, said aloud", 1, [a, undefined]],
  ["no options after an array, said aloud", 2, [[a, b], undefined]],
])("%s is a call, and every message of it is written", async (_, count, rest) => {
  const { answer, statements } = await call(...rest);
  expect(answer).toBe(count);
  expect(statements).toEqual(count === 0 ? [] : ["insert into"]);
});

it.each<[string, readonly unknown[]]>([
  ["an array and a message", [[a], b]],
  ["two arrays", [[a], [b]]],
  ["a message and an array", [a, [b]]],
  ["messages and an array", [a, b, [c]]],
  ["an array, options and a message", [[a], {}, b]],
  ["an array and two options", [[a], {}, {}]],
  ["several messages and options", [a, b, { serialiseKey: true }]],
  ["options before messages", [{ serialiseKey: true }, a]],
  ["an array, a message and nothing", [[a], b, undefined]],
  ["an array and null", [[a], null]],
  ["an array and true", [[a], true]],
  ["an array and a map", [[a], new Map([["serialiseKey", true]])]],
])("%s is refused with the way to call, and nothing is written", async (_, rest) => {
  expect(await call(...rest)).toEqual({
    answer: "WAYBILL_CONFIG_INVALID",
    message: expect.stringContaining("append(tx, [a, b], { serialiseKey: true })"),
    statements: [],
  });
});

it.each<[string, unknown]>([
  ["serializeKey", { serializeKey: true }],
  ["onRepeatedID", { serialiseKey: true, onRepeatedID: "ignore" }],
  ["onRepeatedId", { onRepeatedId: "overwrite" }],
  ["onRepeatedId", { onRepeatedId: null }],
  ["serialiseKey", { serialiseKey: "no" }],
])("the option %s that is none, or has no such value, is refused by its name, and nothing is written", async (option, options) => {
  for (const messages of [a, [a, b]])
    expect(await call(messages, options)).toEqual({
      answer: "WAYBILL_CONFIG_INVALID",
      message: expect.stringContaining(`${option}:`),
      statements: [],
    });
});

it("what is no message among messages is refused as one", async () => {
  for (const rest of [[a, null], [a, undefined, b], [[a, [b]]], [shop.placed], [{ ...a, topic: undefined }]])
    expect(await call(...rest)).toMatchObject({ answer: "WAYBILL_MESSAGE_INVALID", statements: [] });
});
