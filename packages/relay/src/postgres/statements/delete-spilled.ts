import type { Identifier } from "@waybill/sql";

/** Deletes the copies with sequences $3 and message ids $4 from the spill of subscription $2 of stream $1. Served by the primary key. */
export const deleteSpilled = (spill: Identifier): string => `
  delete from ${spill}
  where stream = $1 and subscription = $2
    and sequence = any($3::bigint[]) and message_id = any($4::uuid[])`;
