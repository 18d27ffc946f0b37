import type { Identifier } from "@waybill/sql";

/** Has a partition to ourselves until the transaction ends. What comes later queues behind us while we wait: `limit-lock-wait.ts` goes before. */
export const lockTable = (table: Identifier): string => `lock table only ${table} in access exclusive mode`;
