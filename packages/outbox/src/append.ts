import { type Append, createOutbox } from "./create-outbox.ts";

/** Appends to the usual tables: `waybill_outbox`, found by the transaction's search path. For any others: `createOutbox`. */
export const append: Append = createOutbox().append;
