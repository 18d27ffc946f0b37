import type { Identifier } from "@waybill/sql";

/**
 * Message ?2 has entered the ledger again: for consumer ?3 it is due once more after the time that was given, doubled with each repeat, and after ?1 ms
 * at most, or that time if it is longer. `repeats` is set last: columns are set in the order of the text. Served by the primary key.
 */
export const postponeUnconfirmed = (confirmations: Identifier): string => `
  update ${confirmations}
  set due_at  = timestampadd(microsecond, 1000 * greatest(within_ms, least(within_ms * power(2, least(repeats, 20) + 1), ?)), utc_timestamp(6)),
      repeats = repeats + 1
  where message_id = ? and consumer = ?`;
