// The ledger, as a relay reads it

export type { LedgerOptions } from "./create-ledger.ts";
export { createLedger } from "./create-ledger.ts";
// Sets of ids
export { addRange, countIds, hasId, intersectRanges, normaliseRanges, rangesFromIds, subtractRanges, uniteRanges } from "./id-ranges.ts";
export type { HoleProof, IdRange, Ledger, LedgerBatch, LedgerFacts, LedgerRow, ReadRequest } from "./ledger.ts";
export { payloadBytesInlineMax } from "./ledger.ts";

// Tables
export { outboxMigrations } from "./migrations.ts";
