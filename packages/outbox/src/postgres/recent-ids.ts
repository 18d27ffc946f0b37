import type { Reader } from "../find-message.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { idAtTime } from "./id-at-time.ts";

/**
 * How many ids were handed out since a time, in milliseconds since 1970 by the database's clock: some forty probes of the primary key. History
 * that was removed since then does not count.
 */
export async function recentIds(
  reader: Reader,
  { outbox }: LedgerTables,
  { highestId, sinceMs }: { readonly highestId: bigint; readonly sinceMs: number },
): Promise<bigint> {
  const since = await idAtTime(reader, outbox, sinceMs);
  const ids = since === null ? 0n : highestId + 1n - since;
  return ids > 0n ? ids : 0n;
}
