import type { Identifier } from "@waybill/sql";

/** Makes an empty table that fits as a partition. Identity stays with the parent, which passes it on where the server does that; attaching makes the key. */
export const createPartition = (outbox: Identifier, partition: Identifier): string => `
  create table ${partition} (like ${outbox} including defaults including constraints including storage)`;
