import type { Identifier } from "@waybill/sql";

/** Deletes copies from the spill of a subscription: stream · subscription, then as many sequences, and as many
 * message ids, as `count` says. Served by the primary key. */
export const deleteSpilled = (spill: Identifier, count: number): string => `
  delete from ${spill}
  where stream = ? and subscription = ?
    and sequence in (${marks(count)}) and message_id in (${marks(count)})`;

const marks = (count: number): string => Array.from({ length: count }, () => "?").join(", ");
