import type { Identifier } from "@waybill/sql";
import type { Reader } from "../find-message.ts";
import { findIdAtTime } from "./statements/find-id-at-time.ts";

/** An id below which all rows are older than a time, in milliseconds since 1970; one more than the highest if all are; null for an empty ledger. */
export async function idAtTime(reader: Reader, outbox: Identifier, timeMs: number): Promise<bigint | null> {
  const [row] = (await reader.query(findIdAtTime(outbox), [String(timeMs)])) as readonly { id: string | null }[];
  return row === undefined || row.id === null ? null : BigInt(row.id);
}
