import type { Namespace } from "@waybill/sql";
import type { Ledger } from "./ledger.ts";
import { defaultStream } from "./ledger-tables.ts";
import { createMysqlLedger } from "./mysql/ledger.ts";
import { createPostgresLedger } from "./postgres/ledger.ts";

export interface LedgerOptions {
  /** Where the tables lie: `namespace(database.dialect, { schema, prefix })`. */
  readonly space: Namespace;
  /** Which ledger. Default `default`, whose table is `waybill_outbox`; stream x lies in `waybill_x_outbox`. */
  readonly stream?: string;
}

/**
 * Opens a ledger for reading. Does no I/O; the connections are given with each call.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID for a stream's name
 */
export function createLedger({ space, stream = defaultStream }: LedgerOptions): Ledger {
  return space.dialect === "postgres" ? createPostgresLedger(space, stream) : createMysqlLedger(space, stream);
}
