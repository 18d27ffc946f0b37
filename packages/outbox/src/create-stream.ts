import { isWaybillError, throwConfigProblems } from "@waybill/core";
import { createTableCopy, type Database, type Namespace, tableOf } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { outboxMigrations } from "./migrations.ts";

export interface CreateStreamOptions {
  /** Who makes it, for the audit. */
  readonly who: string;
  readonly why?: string | null;
  /** Milliseconds, the wait for installers included; on MySQL for each statement. Default 60 000. */
  readonly deadlineMs?: number;
}

export interface CreatedStream {
  /** False: it was there already, and nothing was done. */
  readonly isNew: boolean;
  /** `waybill_x_outbox` */
  readonly table: string;
  /** What to grant on its tables to an application, `app`, and a relay, `waybill_relay`, that do not own them. */
  readonly grants: readonly string[];
}

/**
 * Makes another ledger in the same database: stream x lies in `waybill_x_outbox`, with a table of its own for delayed messages and for callers' own
 * ids, all defined by the same migrations as the first stream's. Later migrations are applied to it as well. Writes a line of the audit.
 *
 * Safe to call from many processes at once, and again. Needs the rights of the schema's owner, and the tables of the sets sql and outbox.
 *
 * The edge: there is no way back but to drop the tables and delete the row of `waybill_stream` by hand, when nobody uses them any more.
 *
 * @throws WAYBILL_CONFIG_INVALID for `default`, WAYBILL_IDENTIFIER_INVALID, WAYBILL_SCHEMA_MISMATCH, WAYBILL_MIGRATION_CHANGED, WAYBILL_DATABASE,
 *   WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
 */
export async function createStream(
  database: Database,
  space: Namespace,
  stream: string,
  { who, why = null, deadlineMs }: CreateStreamOptions,
): Promise<CreatedStream> {
  throwConfigProblems(
    "The stream",
    stream === defaultStream ? [{ option: "stream", problem: "default is there from the first migration on" }] : [],
  );
  const { outboxName: table } = ledgerTables(space, stream);
  await checkNoNamespace(database, space, stream);
  const { isNew, grants } = await createTableCopy(database, space, outboxMigrations, stream, {
    audit: { who, what: "stream.create", subject: `stream ${stream}`, why },
    ...(deadlineMs === undefined ? {} : { deadlineMs }),
  });
  return { isNew, table, grants };
}

/** No such table: PostgreSQL, MySQL. */
const noSuchTable: ReadonlySet<string | number | null> = new Set(["42P01", 1146]);

/** Tables whose names begin with our prefix and the stream's name may be those of another namespace: its ledger would have the same name. */
async function checkNoNamespace(database: Database, space: Namespace, stream: string): Promise<void> {
  try {
    await database.query(`select name from ${tableOf(space, `${stream}_stream`)} limit 1`, []);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_DATABASE")) throw error;
    if (noSuchTable.has(error.facts.errno) || noSuchTable.has(error.facts.sqlState)) return;
    throw error;
  }
  throwConfigProblems("The stream", [
    { option: "stream", problem: `another name: tables with the prefix ${space.prefix}${stream}_ are there` },
  ]);
}
