import type { Identifier } from "@waybill/sql";
import { partitionBounds } from "./partition-bounds.ts";

/**
 * How far the partitions of a ledger reach. One row: whether we may change the table · the highest id handed out · the first id
 * behind the last partition, both as text · how many partitions lie wholly ahead · the database's clock in milliseconds since 1970, as text. The ledger
 * is locked before its sequence, as whoever locks all of it does (`measure-ledger.ts`).
 */
export const readPartitions = (outbox: Identifier, sequence: Identifier): string => `
  select
    pg_has_role(ledger.relowner, 'usage') as is_owner,
    counter.highest_id::text as highest_id,
    coalesce(max(bounds.high), 1)::text as reach,
    (count(*) filter (where bounds.low > counter.highest_id))::int as ahead,
    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint::text as now_ms
  from pg_class as ledger
  left join only ${outbox} as first_locked on false
  cross join (select last_value - (not is_called)::int as highest_id from ${sequence}) as counter
  left join pg_inherits as child on child.inhparent = ledger.oid
  left join pg_class as leaf on leaf.oid = child.inhrelid
  left join lateral (${partitionBounds}
  ) as bounds on true
  where ledger.oid = '${outbox}'::regclass
  group by ledger.relowner, counter.highest_id`;
