/**
 * What may be told of a driver's error.
 *
 * MySQL and MariaDB quote values in their messages ("Duplicate entry 'x' for key …", "Incorrect integer value: 'x'"), and the driver hangs
 * the whole statement on its error (`sql`). None of that leaves this file: the cause of our error is a new one with numbers and codes only.
 * Errors are classified by the server's number or the driver's code, never by message and never by the driver's `fatal`.
 *
 * | number | what happened | the transaction | we |
 * |---|---|---|---|
 * | 1213 deadlock; Galera: certification failed | another one was preferred | is gone: the session is in autocommit | repeat the whole unit |
 * | 1205 a wait for a lock ran out | the statement was undone | is open, with its first half | repeat the whole unit |
 * | 1467 no next AUTO_INCREMENT id | MariaDB says so when the wait for the table's counter runs out | as 1205 | repeat the whole unit |
 * | 1020 the row has changed since it was read | MariaDB under snapshot isolation | may be gone | repeat the whole unit |
 * | 3101 rolled back at COMMIT by a plugin | group replication: certification failed | is gone | repeat the whole unit |
 * | 1062 duplicate key | the statement was undone | is open and whole | nothing; the very same statement may be sent once more |
 * | 3572 NOWAIT or SKIP LOCKED met a lock | the statement was undone | is open | nothing: who says NOWAIT does not want to wait |
 * | 3024, 1969, 1317 the time for a statement ran out, or it was killed | the statement was undone | is open | nothing: it would take as long again |
 * | 1180 an engine failed at COMMIT | nobody knows | nobody knows | unknown |
 * | 1040, 1203 too many connections | nothing began | – | transient, the caller's decision |
 */
import { type WaybillError, waybillError } from "@waybill/core";
import type { CommitProof, DatabaseFacts } from "../session.ts";

type Facts = Readonly<Record<string, unknown>>;
type Numbered = Pick<DatabaseFacts, "errno">;

/** The server asks to run the whole transaction again, or has undone so much that nothing else makes sense. */
const repetition = new Set([1205, 1213, 1467, 1020, 3101]);

/**
 * Answers to COMMIT that only come when everything was rolled back: deadlock and certification, a lock that could not be had, a server that
 * has become read only (1290, 1792, 1836), a transaction larger than the binary log's cache (1197). Anything else may have come after
 * the commit record was written.
 */
const rollbackAtCommit = new Set([1213, 1205, 3101, 1290, 1792, 1836, 1197]);

/**
 * The same unit may succeed later: locks and repetition (see the table), resources (1037 memory, 1041, 1021 and 1114 full, 1040, 1203, 1226
 * connections), shutdown (1053, 1927, 3169, 4031), time limits (1317, 1969, 3024), NOWAIT (3572), Galera not ready (1047), and read only: after a
 * failover we may still talk to the former primary.
 */
const transient = new Set([
  1205, 1213, 1467, 1020, 3101, 3572, 1021, 1037, 1040, 1041, 1114, 1203, 1226, 1053, 1927, 3169, 4031, 1317, 1969, 3024, 1047, 1290, 1792,
  1836,
]);

/**
 * No further statement should be sent over this connection: the server ends it (1053, 1080, 1152–1161, 1184, 1927, 3169, 4031), or it leads to a
 * server that does not write, where the next one may lead to the primary (1290, 1836, 1047).
 */
const ending = new Set([1053, 1080, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927, 3169, 4031, 1290, 1836, 1047]);

/** The number of a server's error; null for anything else, such as a lost connection. */
export function errnoOf(error: unknown): number | null {
  if (!(error instanceof Error)) return null;
  const { errno, sqlState } = error as unknown as Facts;
  // The system's own errors have a number, too (ECONNRESET −104), and never an SQLSTATE.
  return typeof errno === "number" && errno > 0 && typeof sqlState === "string" ? errno : null;
}

/** The SQLSTATE of a server's error. Some errors before the handshake have none. */
export function sqlStateOf(error: unknown): string | null {
  if (errnoOf(error) === null) return null;
  const { sqlState } = error as unknown as Facts;
  return typeof sqlState === "string" && /^[0-9A-Z]{5}$/.test(sqlState) ? sqlState : null;
}

export function asksForRepetition({ errno }: Numbered): boolean {
  return errno !== null && repetition.has(errno);
}

/** The numbers in the list are said by whoever has just rolled back, so they prove it by themselves; the others prove nothing. */
export function proofAtCommit({ errno }: Numbered): CommitProof {
  return errno !== null && rollbackAtCommit.has(errno) ? "rolledBack" : "nothing";
}

/** A duplicate key undoes its own statement and leaves the transaction as it was. */
export function mayRepeatStatement({ errno }: Numbered): boolean {
  return errno === 1062;
}

export function isTransient(errno: number | null): boolean {
  return errno === null || transient.has(errno);
}

export function endsConnection(errno: number | null): boolean {
  return errno === null || ending.has(errno);
}

/** Wraps what the driver threw. The driver's own error is dropped on purpose, see the top of this file. */
export function databaseError(operation: string, error: unknown): WaybillError<"WAYBILL_DATABASE"> {
  const errno = errnoOf(error);
  const sqlState = sqlStateOf(error);
  const message =
    errno === null
      ? `The connection was lost or could not be used during ${operation}. Try again; look at the cause.`
      : `The database refused ${operation} with error ${errno}. Look it up in the server's list of errors.`;
  return waybillError("WAYBILL_DATABASE", message, { operation, sqlState, errno, isTransient: isTransient(errno) }, speakableCause(error));
}

/** A copy that names codes and quotes nothing. */
export function speakableCause(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("The driver threw something that is no error.");
  const facts = error as unknown as Facts;
  const errno = errnoOf(error) ?? unaskedOf(facts);
  const code = typeof facts["code"] === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(facts["code"]) ? facts["code"] : null;
  const said =
    errno !== null
      ? `The server answered error ${errno}${code === null ? "" : ` (${code})`}.`
      : code === null
        ? `The driver failed (${error.name}).`
        : `The driver failed with ${code}.`;
  const sqlState = sqlStateOf(error);
  return withFields(said, {
    ...(code === null ? {} : { code }),
    ...(errno === null ? {} : { errno }),
    ...(sqlState === null ? {} : { sqlState }),
    ...(typeof facts["syscall"] === "string" ? { syscall: facts["syscall"] } : {}),
  });
}

/** The number of an error that the server sent by itself, between two statements: the driver has it as the code, and no SQLSTATE. */
function unaskedOf({ code, sqlState }: Facts): number | null {
  return typeof code === "number" && code > 0 && sqlState === undefined ? code : null;
}

function withFields(message: string, fields: Facts): Error {
  return Object.assign(new Error(message), fields, { name: "DriverError" });
}
