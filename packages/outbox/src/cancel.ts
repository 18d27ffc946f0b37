import { type Cancel, createOutbox } from "./create-outbox.ts";

/** Cancels in the usual tables: `waybill_outbox_delayed`, found by the transaction's search path. For any others: `createOutbox`. */
export const cancel: Cancel = createOutbox().cancel;
