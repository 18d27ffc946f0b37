// Appending

export { append } from "./append.ts";
export type { Append, AppendOptions, FindOptions, Outbox, OutboxOptions } from "./create-outbox.ts";
export { createOutbox } from "./create-outbox.ts";
export type { Appended, Reader } from "./postgres/find-message.ts";

// The ledger, as a relay reads it

export type { LedgerOptions } from "./create-ledger.ts";
export { createLedger } from "./create-ledger.ts";
export type { HoleProof, IdRange, Ledger, LedgerBatch, LedgerFacts, LedgerRow, ReadRequest } from "./ledger.ts";
export { payloadBytesInlineMax } from "./ledger.ts";

// Sets of ids

export { addRange, countIds, hasId, intersectRanges, normaliseRanges, rangesFromIds, subtractRanges, uniteRanges } from "./id-ranges.ts";

// Tables and their upkeep

export type { KeepPartitionsOptions } from "./keep-partitions.ts";
export { keepPartitions } from "./keep-partitions.ts";
export { outboxMigrations } from "./migrations.ts";
export type { KeptPartitions } from "./postgres/partitions.ts";
