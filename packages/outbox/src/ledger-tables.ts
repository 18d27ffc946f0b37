import { waybillError } from "@waybill/core";
import { checkName, type Identifier, type Namespace, tableOf } from "@waybill/sql";

/** The first stream of every database. */
export const defaultStream = "default";

/** The names a ledger's statements are made with. */
export interface LedgerTables {
  readonly outbox: Identifier;
  /** The outbox's name by itself, as the catalogue of the database knows it. */
  readonly outboxName: string;
  /** Hands out the ids, on PostgreSQL. */
  readonly sequence: Identifier;
  readonly ids: Identifier;
  /** Messages that are not due yet. */
  readonly delayed: Identifier;
  readonly stream: Identifier;
  /** Messages whose consumers have not confirmed: one table for all ledgers. */
  readonly confirmations: Identifier;
  /** What `serialiseKey` locks, on MySQL: one table for all ledgers, as keys are anybody's. */
  readonly keyLocks: Identifier;
  /** Where rows go whose partition nobody has made, on PostgreSQL. */
  readonly defaultPartition: Identifier;
  /** The partition whose first id is `low`, on PostgreSQL. */
  partition(low: bigint): Identifier;
}

/** PostgreSQL cuts names at 63 bytes, and the longest is a partition's: the table's name, `_p` and an id of up to 19 digits. */
const outboxNameLengthMax = 42;

/**
 * The table of stream `stream`, without prefix and schema: `outbox` for the first one, `<stream>_outbox` for any other. The names of its companions
 * begin with it.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID
 */
export function outboxName(stream: string): string {
  return stream === defaultStream ? "outbox" : `${checkName("stream", stream)}_outbox`;
}

/**
 * The tables of stream `stream`: `waybill_outbox` and its companions for the first one, `waybill_<stream>_outbox` for any other.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID
 */
export function ledgerTables(space: Namespace, stream: string): LedgerTables {
  const name = outboxName(stream);
  if (space.prefix.length + name.length > outboxNameLengthMax) {
    throw waybillError(
      "WAYBILL_IDENTIFIER_INVALID",
      `Prefix and stream are too long: the outbox's table may have at most ${outboxNameLengthMax} characters.`,
      {
        what: stream === defaultStream ? "prefix" : "stream",
      },
    );
  }
  return {
    outbox: tableOf(space, name),
    outboxName: `${space.prefix}${name}`,
    sequence: tableOf(space, `${name}_id_seq`),
    ids: tableOf(space, `${name}_id`),
    delayed: tableOf(space, `${name}_delayed`),
    stream: tableOf(space, "stream"),
    confirmations: tableOf(space, "confirmation"),
    keyLocks: tableOf(space, "key_lock"),
    defaultPartition: tableOf(space, `${name}_default`),
    partition: (low) => tableOf(space, `${name}_p${low}`),
  };
}
