import type { TextRow } from "@waybill/sql";
import type { LedgerRow } from "./ledger.ts";

/**
 * Makes rows of the text columns that `statements/row-columns.ts` of each dialect selects. This is the reader's inner loop: every object is born
 * with the same fields in the same order, and nothing but id and time is parsed.
 */
export function ledgerRows(rows: readonly TextRow[]): LedgerRow[] {
  return rows.map(ledgerRow);
}

function ledgerRow(columns: TextRow): LedgerRow {
  const hex = columns[8] as string | null;
  const left = columns[9] as string | null;
  return {
    id: BigInt(columns[0] as string),
    messageId: columns[1] as string,
    type: columns[2] as string,
    topic: columns[3] as string,
    key: columns[4] as string | null,
    headers: columns[5] as string | null,
    payload: hex === null ? (columns[7] as string | null) : Buffer.from(hex, "hex"),
    leftBytes: left === null ? null : Number(left),
    createdAtMs: Number(columns[6]),
  };
}
