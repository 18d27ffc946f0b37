import type { Identifier } from "@waybill/sql";

/**
 * Copies rows of the ledger into the spill of a subscription, as they are.
 *
 * stream · subscription · a JSON array of objects: s sequence, l lane as hex, a attempts, m 1 if it may be stored or else 0.
 *
 * A row that is gone from the ledger is not copied, and one that has a copy keeps it: `find-spilled.ts` tells which have one. At READ COMMITTED
 * no row of the ledger is locked. Served by the primary keys.
 */
export const copyToSpill = (spill: Identifier, outbox: Identifier): string => `
  insert into ${spill}
    (stream, subscription, sequence, lane, message_id, type, topic, \`key\`, headers, payload, payload_bytes, created_at, attempts, may_be_stored)
  select straight_join ?, ?, found.id, unhex(wanted.lane), found.message_id, found.type, found.topic, found.\`key\`, found.headers,
         found.payload, found.payload_bytes, found.created_at, wanted.attempts, wanted.may_be_stored
  from json_table(?, '$[*]' columns (
         sequence bigint path '$.s', lane varchar(128) path '$.l', attempts int path '$.a', may_be_stored tinyint path '$.m'
       )) as wanted
  join ${outbox} as found force index (primary) on found.id = wanted.sequence
  on duplicate key update stream = values(stream)`;
