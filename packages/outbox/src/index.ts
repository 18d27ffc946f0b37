// The ledger, as a relay reads it
export { payloadBytesInlineMax } from "./ledger.ts";
export type { HoleProof, IdRange, Ledger, LedgerBatch, LedgerFacts, LedgerRow, ReadRequest } from "./ledger.ts";
