import { type Confirm, createOutbox } from "./create-outbox.ts";

/** Confirms in the usual table: `waybill_confirmation`, found by the transaction's search path. For any other: `createOutbox`. */
export const confirm: Confirm = createOutbox().confirm;
