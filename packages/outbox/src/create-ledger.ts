import { throwConfigProblems } from "@waybill/core";
import type { Namespace } from "@waybill/sql";
import type { Ledger } from "./ledger.ts";
import { defaultStream } from "./ledger-tables.ts";
import { createPostgresLedger } from "./postgres/ledger.ts";

export interface LedgerOptions {
  /** Where the tables lie: `namespace("postgres", { schema, prefix })`. */
  readonly space: Namespace;
  /** Which ledger. Default `default`, whose table is `waybill_outbox`; stream x lies in `waybill_x_outbox`. */
  readonly stream?: string;
}

/**
 * Opens a ledger for reading. Does no I/O; the connections are given with each call.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID for a stream's name, WAYBILL_CONFIG_INVALID for a dialect without a ledger
 */
export function createLedger({ space, stream = defaultStream }: LedgerOptions): Ledger {
  throwConfigProblems(
    "The ledger",
    space.dialect === "postgres" ? [] : [{ option: "space.dialect", problem: "postgres is the dialect that has a ledger" }],
  );
  return createPostgresLedger(space, stream);
}
