import type { Namespace, Statements } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { idAtTime as idAtTimeOnMysql } from "./mysql/id-at-time.ts";
import { findIdAtTime as findNextRowOnMysql } from "./mysql/statements/find-id-at-time.ts";
import { measureLedger as measureOnMysql } from "./mysql/statements/measure-ledger.ts";
import { idAtTime as idAtTimeOnPostgres } from "./postgres/id-at-time.ts";
import { findNextRow as findNextRowOnPostgres } from "./postgres/statements/find-next-row.ts";
import { measureLedger as measureOnPostgres } from "./postgres/statements/measure-ledger.ts";
import { dayMs } from "./upkeep-options.ts";

export interface MeasureLedgerOptions {
  /** Default `default`. */
  readonly stream?: string;
  /** The lowest id that somebody needs; null: nobody needs any. */
  readonly neededFrom: bigint | null;
  /** Milliseconds for which history is kept. Default 1 day. */
  readonly retentionMs?: number;
  /** Milliseconds for each of its few statements. Default: the connection's. */
  readonly deadlineMs?: number;
}

/** How large a ledger is, and what of it is old. */
export interface LedgerMeasure {
  /** Highest id handed out; on MySQL and MariaDB the highest that can be seen. */
  readonly highestId: bigint;
  /** Up to this id history was removed. */
  readonly removedTo: bigint;
  /** On disk, indexes included; on MySQL and MariaDB as the server last counted them. */
  readonly bytes: bigint;
  /** Milliseconds since the first row was appended that somebody needs; null: there is none. */
  readonly neededAgeMs: number | null;
  /** Everything up to this id is older than `retentionMs`; at least `removedTo`. */
  readonly oldUpTo: bigint;
  /** PostgreSQL only. `defaultRows` are counted up to 10 000. */
  readonly partitions: { readonly count: number; readonly ahead: number; readonly defaultRows: number } | null;
}

const defaultRowsMax = 10_000;

/**
 * Measures a ledger: a few statements that read the catalogue and some forty rows, whatever its size. Changes nothing.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function measureLedger(
  statements: Pick<Statements, "query">,
  space: Namespace,
  { stream = defaultStream, neededFrom, retentionMs = dayMs, deadlineMs }: MeasureLedgerOptions,
): Promise<LedgerMeasure> {
  const tables = ledgerTables(space, stream);
  const isPostgres = space.dialect === "postgres";
  const reader: Pick<Statements, "query"> = {
    query: (sql, values) => statements.query(sql, values, deadlineMs === undefined ? {} : { deadlineMs }),
  };
  const [row = {}] = await reader.query(
    isPostgres ? measureOnPostgres(tables.outbox, tables.sequence, tables.stream) : measureOnMysql(tables.outbox, tables.stream),
    isPostgres ? [stream, defaultRowsMax] : [stream, stream, space.schema, tables.outboxName],
  );
  const number = (column: string): bigint => BigInt((row[column] as string | number | null | undefined) ?? 0);
  const nowMs = Number(number("now_ms"));
  const removedTo = number("removed_to");
  const next =
    neededFrom === null
      ? []
      : await reader.query((isPostgres ? findNextRowOnPostgres : findNextRowOnMysql)(tables.outbox), [String(neededFrom)]);
  const youngFrom = await (isPostgres ? idAtTimeOnPostgres : idAtTimeOnMysql)(reader, tables.outbox, nowMs - retentionMs);
  return {
    highestId: number("highest_id"),
    removedTo,
    bytes: number("bytes"),
    neededAgeMs: next[0] === undefined ? null : Math.max(0, nowMs - Number(next[0]["created_ms"])),
    oldUpTo: youngFrom === null || youngFrom - 1n < removedTo ? removedTo : youngFrom - 1n,
    partitions: isPostgres
      ? { count: Number(number("partitions")), ahead: Number(number("ahead")), defaultRows: Number(number("default_rows")) }
      : null,
  };
}
