import type { Identifier } from "@waybill/sql";

/**
 * Makes a table the partition for ids from `low` (included) to `high` (excluded), which are validated numbers: bounds take no
 * parameters. No writer and no reader is in its way but those of the default partition, which is usually empty. If it is not, it is
 * read from end to end under an exclusive lock, which `lock_timeout` does not end: `limit-statement-time.ts` goes before.
 */
export const attachPartition = (outbox: Identifier, partition: Identifier, low: bigint, high: bigint): string => `
  alter table ${outbox} attach partition ${partition} for values from (${low}) to (${high})`;
