/**
 * What may be told of a driver's error.
 *
 * PostgreSQL quotes values in `message` ("invalid input syntax for type uuid: …"), `detail` ("Key (card)=(…) already exists"),
 * `where` and `internalQuery`; URLs and DNS errors can carry a piece of a password. None of that leaves this file: the cause of our
 * error is a new one with names and codes only. Errors are classified by SQLSTATE, never by message.
 */
import { type WaybillError, waybillError } from "@waybill/core";
import type { CommitProof, DatabaseFacts } from "../session.ts";

/** The fields of a server's error that name things and hold no data. */
const namingFields = ["severity", "schema", "table", "column", "dataType", "constraint", "file", "line", "routine"] as const;

/** What the driver itself says before any value was sent: fixed texts that help an operator. */
const driverPhrases = [
  "The server does not support SSL connections",
  "There was an error establishing an SSL connection",
  "Connection terminated",
  "SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a",
] as const;

type Facts = Readonly<Record<string, unknown>>;

/** The SQLSTATE of a server's error; null for anything else, such as a lost connection. `EPIPE` has five capitals, but no severity. */
export function sqlStateOf(error: unknown): string | null {
  if (!(error instanceof Error)) return null;
  const { code, severity } = error as unknown as Facts;
  return typeof code === "string" && typeof severity === "string" && /^[0-9A-Z]{5}$/.test(code) ? code : null;
}

/** Serialization failure or deadlock: PostgreSQL asks to run the whole transaction again. */
export function asksForRepetition({ sqlState }: Pick<DatabaseFacts, "sqlState">): boolean {
  return sqlState === "40001" || sqlState === "40P01";
}

/** An error in answer to COMMIT is a rollback, but for 08007 transaction resolution unknown and 40003 statement completion unknown. */
export function proofAtCommit({ sqlState }: Pick<DatabaseFacts, "sqlState">): CommitProof {
  return sqlState === null || sqlState === "08007" || sqlState === "40003" ? "nothing" : "rolledBackIfItGoesOn";
}

/**
 * True if the same unit of work may succeed later: no SQLSTATE (the connection was lost), 08 connection, 40 rollback, 53 resources,
 * 57P01–57P05 shutdown and start, 57014 cancelled, 55P03 lock not available, 25P03 idle in transaction for too long, and 25006 read
 * only: after a failover we may still talk to the former primary.
 */
export function isTransient(sqlState: string | null): boolean {
  if (sqlState === null) return true;
  if (/^(08|40|53)/.test(sqlState)) return sqlState !== "40002";
  return /^(57P0[1-5]|57014|55P03|25P03|25006)$/.test(sqlState);
}

/**
 * True if no further statement should be sent over this connection: the server ends it (57P, 08, 25P03 are fatal wherever they
 * occur), it is broken inside (XX, 58), it leads to a server that does not write (25006; the next one may lead to the primary), or what it
 * had prepared is gone or has become another statement (26000, 0A000).
 */
export function endsConnection(sqlState: string | null): boolean {
  return sqlState === null || /^(08|57P|XX|58)|^(25P03|25006|26000|0A000)$/.test(sqlState);
}

/** Wraps what the driver threw. The driver's own error is dropped on purpose, see the top of this file. */
export function databaseError(operation: string, error: unknown): WaybillError<"WAYBILL_DATABASE"> {
  const sqlState = sqlStateOf(error);
  const message =
    sqlState === null
      ? `The connection was lost or could not be used during ${operation}. Try again; look at the cause.`
      : `The database refused ${operation} with SQLSTATE ${sqlState}. Look it up; see the cause for the names involved.`;
  return waybillError(
    "WAYBILL_DATABASE",
    message,
    { operation, sqlState, errno: null, isTransient: isTransient(sqlState) },
    speakableCause(error),
  );
}

/** A copy that names things and quotes nothing. */
export function speakableCause(error: unknown): Error {
  if (!(error instanceof Error)) return new Error("The driver threw something that is no error.");
  const facts = error as unknown as Facts;
  const sqlState = sqlStateOf(error);
  if (sqlState !== null) return withFields(`PostgreSQL answered SQLSTATE ${sqlState}.`, { code: sqlState, ...pick(facts, namingFields) });

  const code = typeof facts["code"] === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(facts["code"]) ? facts["code"] : null;
  const phrase = driverPhrases.find((known) => error.message.startsWith(known));
  const said = phrase ?? (code === null ? `The driver failed (${error.name}).` : `The driver failed with ${code}.`);
  return withFields(said, { ...(code === null ? {} : { code }), ...pick(facts, ["syscall"]) });
}

function withFields(message: string, fields: Facts): Error {
  return Object.assign(new Error(message), fields, { name: "DriverError" });
}

function pick(facts: Facts, names: readonly string[]): Facts {
  return Object.fromEntries(names.flatMap((name) => (typeof facts[name] === "string" ? [[name, facts[name]]] : [])));
}
