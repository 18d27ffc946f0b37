import { inspect } from "node:util";
import { expect, test } from "vitest";
import { asksForRepetition, databaseError, endsConnection, isTransient, sqlStateOf } from "./database-error.ts";

const canary = "4929-canary";

/** As the driver makes it from the server's fields. */
const serverError = (code: string, fields: object = {}): Error =>
  Object.assign(new Error(`invalid input syntax for type uuid: "${canary}"`), {
    name: "error",
    severity: "ERROR",
    code,
    detail: `Key (card)=(${canary}) already exists.`,
    hint: canary,
    where: `unnamed portal parameter $1 = '${canary}'`,
    internalQuery: `select '${canary}'`,
    ...fields,
  });

test("what the server quotes is nowhere in the error, its cause or its stack; names and codes are", () => {
  const error = databaseError("dead letter", serverError("23505", { constraint: "card_pkey", table: "card", schema: "app" }));
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(JSON.stringify(error)).not.toContain(canary);
  expect(error.facts).toEqual({ operation: "dead letter", sqlState: "23505", errno: null, isTransient: false });
  expect(error.cause).toMatchObject({ name: "DriverError", code: "23505", constraint: "card_pkey", table: "card", schema: "app" });
});

test("an error of the network keeps its code and call, and not the address, which may hold a piece of a password", () => {
  const cause = Object.assign(new Error(`getaddrinfo ENOTFOUND ${canary}`), {
    code: "ENOTFOUND",
    syscall: "getaddrinfo",
    hostname: canary,
  });
  const error = databaseError("connect", cause);
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(error.facts).toEqual({ operation: "connect", sqlState: null, errno: null, isTransient: true });
  expect(error.cause).toMatchObject({ code: "ENOTFOUND", syscall: "getaddrinfo" });
});

test("what the driver says in fixed words is kept, and anything else is not", () => {
  expect((databaseError("connect", new Error("The server does not support SSL connections")).cause as Error).message).toBe(
    "The server does not support SSL connections",
  );
  expect(inspect(databaseError("connect", new Error(`surprise: ${canary}`)))).not.toContain(canary);
  expect(inspect(databaseError("connect", canary))).not.toContain(canary);
});

test("five capitals are an SQLSTATE only on a server's error", () => {
  expect(sqlStateOf(Object.assign(new Error("write EPIPE"), { code: "EPIPE", syscall: "write" }))).toBeNull();
  expect(sqlStateOf(serverError("40001"))).toBe("40001");
});

test.each(["40001", "40P01", "08006", "53300", "57P01", "57P03", "57014", "55P03", "25P03", "25006", null])(
  "%s may pass if tried again",
  (sqlState) => expect(isTransient(sqlState)).toBe(true),
);

test.each(["23505", "42P01", "22P02", "28P01", "3D000", "40002", "25P02", "XX000"])("%s does not pass by itself", (sqlState) =>
  expect(isTransient(sqlState)).toBe(false),
);

test("only a serialization failure and a deadlock ask for the whole unit again", () => {
  expect(["40001", "40P01", "40003", "23505", null].map((sqlState) => asksForRepetition({ sqlState }))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
});

test("a connection is over when the server ends it, breaks, or cannot write", () => {
  expect(["57P01", "08006", "25P03", "XX000", "58030", "25006", "26000", "0A000", null].every(endsConnection)).toBe(true);
  expect(["23505", "40001", "57014", "53100", "42P01"].some(endsConnection)).toBe(false);
});
