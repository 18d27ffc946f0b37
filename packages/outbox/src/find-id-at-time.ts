import type { Namespace } from "@waybill/sql";
import type { Reader } from "./find-message.ts";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { idAtTime as idAtTimeOnMysql } from "./mysql/id-at-time.ts";
import { idAtTime as idAtTimeOnPostgres } from "./postgres/id-at-time.ts";

export interface FindIdAtTimeOptions {
  /** Which ledger. Default `default`. */
  readonly stream?: string;
  /** Milliseconds since 1970, by the database's clock. */
  readonly timeMs: number;
}

/**
 * Finds where in the ledger a time lies: an id below which all messages are older, and from which on none is; one more than the highest id if all
 * are older; null for an empty ledger. By binary search over the primary key: some forty probes, whatever the size.
 *
 * The edge: an id is handed out a moment before the clock is read, clocks are corrected, and a message is as old as its insert, not as its commit. So
 * go back by as long as a transaction may take.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export function findIdAtTime(
  reader: Reader,
  space: Namespace,
  { stream = defaultStream, timeMs }: FindIdAtTimeOptions,
): Promise<bigint | null> {
  const { outbox } = ledgerTables(space, stream);
  return space.dialect === "postgres" ? idAtTimeOnPostgres(reader, outbox, timeMs) : idAtTimeOnMysql(reader, outbox, timeMs);
}
