import type { Identifier } from "@waybill/sql";

/**
 * Copies rows of the ledger into the spill of subscription $2 of stream $1, as they are.
 *
 * $3 ids · $4 their lanes, as hex · $5 attempts · $6 1 if it may be stored, else 0, side by side.
 *
 * A row that is gone from the ledger is not copied, and one that has a copy keeps it: `find-spilled.ts` tells which have one. The rows are known
 * to be visible, so this needs no part in the cursor's read. Served by the primary keys.
 */
export const copyToSpill = (spill: Identifier, outbox: Identifier): string => `
  insert into ${spill}
    (stream, subscription, sequence, lane, message_id, type, topic, key, headers, payload, payload_bytes, created_at, attempts, may_be_stored)
  select $1, $2, found.id, decode(wanted.lane, 'hex'), found.message_id, found.type, found.topic, found.key, found.headers,
         found.payload, found.payload_bytes, found.created_at, wanted.attempts, wanted.may_be_stored = 1
  from unnest($3::bigint[], $4::text[], $5::integer[], $6::integer[]) as wanted (id, lane, attempts, may_be_stored)
  cross join lateral (
    select *
    from ${outbox}
    where id between wanted.id and wanted.id
    order by id
    limit 1
  ) as found
  on conflict (stream, subscription, sequence, message_id) do nothing`;
