import type { Identifier } from "@waybill/sql";

/** The bytes of a message by producer, id and ordinal. No row: there is none, or its time is over. */
export const readPayload = (bodies: Identifier): string => `
  select payload
  from ${bodies}
  where producer = ? and id = ? and ordinal = ?`;
