import type { Identifier } from "@waybill/sql";

/**
 * Has a table to ourselves until the transaction ends; of a partitioned one not its partitions, which nobody reaches without it. What comes later
 * queues behind us while we wait: `limit-lock-wait.ts` goes before.
 */
export const lockTable = (table: Identifier): string => `lock table only ${table} in access exclusive mode`;
