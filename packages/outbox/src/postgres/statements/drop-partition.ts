import type { Identifier } from "@waybill/sql";

/** Drops a partition. The whole ledger is locked for it: `lock-table.ts` goes before, with its wait bounded. */
export const dropPartition = (partition: Identifier): string => `drop table ${partition}`;
