import { inspect } from "node:util";
import { expect, test } from "vitest";
import {
  asksForRepetition,
  databaseError,
  endsConnection,
  errnoOf,
  isTransient,
  mayRepeatStatement,
  proofAtCommit,
  sqlStateOf,
} from "./database-error.ts";

const canary = "4929-canary";

/** As the driver makes it from the server's ERR packet. */
const serverError = (errno: number, sqlState: string, code: string): Error =>
  Object.assign(new Error(`Duplicate entry '${canary}' for key 'card.PRIMARY'`), {
    errno,
    sqlState,
    code,
    sqlMessage: `Duplicate entry '${canary}' for key 'card.PRIMARY'`,
    sql: `insert into card values ('${canary}')`,
  });

test("what the server quotes and the driver adds is nowhere in the error, its cause or its stack; numbers and codes are", () => {
  const error = databaseError("dead letter", serverError(1062, "23000", "ER_DUP_ENTRY"));
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(JSON.stringify(error)).not.toContain(canary);
  expect(error.facts).toEqual({ operation: "dead letter", sqlState: "23000", errno: 1062, isTransient: false });
  expect(error.cause).toMatchObject({ name: "DriverError", code: "ER_DUP_ENTRY", errno: 1062, sqlState: "23000" });
});

test("M13 an error of the connection is told by its code, not by the driver's `fatal`, and keeps no address", () => {
  const lost = Object.assign(new Error(`connect ECONNREFUSED ${canary}`), {
    errno: -111,
    code: "ECONNREFUSED",
    syscall: "connect",
    address: canary,
    fatal: true,
  });
  const error = databaseError("connect", lost);
  expect(error.facts).toEqual({ operation: "connect", sqlState: null, errno: null, isTransient: true });
  expect(error.cause).toMatchObject({ code: "ECONNREFUSED", syscall: "connect" });
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain(canary);
  expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("fatal");
  // The same field on a plain refusal changes nothing.
  const refused = Object.assign(serverError(1146, "42S02", "ER_NO_SUCH_TABLE"), { fatal: true });
  expect(databaseError("read", refused).facts).toMatchObject({ errno: 1146, isTransient: false });
  expect(endsConnection(errnoOf(refused))).toBe(false);
});

test("an error of the system has a number, too, and none of the server's", () => {
  const reset = Object.assign(new Error("read ECONNRESET"), { errno: -104, code: "ECONNRESET", syscall: "read" });
  expect([errnoOf(reset), sqlStateOf(reset)]).toEqual([null, null]);
  expect(errnoOf(Object.assign(new Error("lost"), { code: "PROTOCOL_CONNECTION_LOST", fatal: true }))).toBeNull();
});

test("what the server says between two statements is known by its number, and ends the connection", () => {
  const goodbye = Object.assign(new Error("The client was disconnected by the server because of inactivity."), { code: 4031, fatal: true });
  expect(databaseError("read", goodbye)).toMatchObject({ facts: { errno: null, isTransient: true }, cause: { errno: 4031 } });
  expect(endsConnection(errnoOf(goodbye))).toBe(true);
});

test("what is no error of the driver's is not repeated", () => {
  expect(inspect(databaseError("connect", new Error(`surprise: ${canary}`)))).not.toContain(canary);
  expect(inspect(databaseError("connect", canary))).not.toContain(canary);
});

/** The table at the top of the file: errno, whole unit again, proves a rollback at COMMIT, the statement again, transient, ends the connection. */
test.each([
  ["deadlock, or Galera's certification", 1213, true, true, false, true, false],
  ["a wait for a lock ran out", 1205, true, true, false, true, false],
  ["M14 no next id, as MariaDB says when the counter's lock cannot be had", 1467, true, false, false, true, false],
  ["a row has changed since it was read", 1020, true, false, false, true, false],
  ["group replication rolled back", 3101, true, true, false, true, false],
  ["duplicate key", 1062, false, false, true, false, false],
  ["NOWAIT met a lock", 3572, false, false, false, true, false],
  ["MySQL's time for a statement ran out", 3024, false, false, false, true, false],
  ["MariaDB's time for a statement ran out", 1969, false, false, false, true, false],
  ["killed", 1317, false, false, false, true, false],
  ["an engine failed at COMMIT", 1180, false, false, false, false, false],
  ["read only", 1290, false, true, false, true, true],
  ["too many connections", 1040, false, false, false, true, false],
  ["shutdown", 1053, false, false, false, true, true],
  ["Galera not ready", 1047, false, false, false, true, true],
  ["no such table", 1146, false, false, false, false, false],
  ["access denied", 1045, false, false, false, false, false],
  ["the connection was lost", null, false, false, false, true, true],
])("%s (%s)", (_, errno, asks, proves, repeats, transient, ends) => {
  expect([
    asksForRepetition({ errno }),
    proofAtCommit({ errno }) === "rolledBack",
    mayRepeatStatement({ errno }),
    isTransient(errno),
    endsConnection(errno),
  ]).toEqual([asks, proves, repeats, transient, ends]);
});
