import type { Identifier } from "@waybill/sql";

/**
 * How far the partitions of a ledger reach. One row: whether we may change the table · the highest id handed out · the first id
 * behind the last partition, both as text · how many partitions lie wholly ahead.
 */
export const readPartitions = (outbox: Identifier, sequence: Identifier): string => `
  select
    pg_has_role(ledger.relowner, 'usage') as is_owner,
    counter.highest_id::text as highest_id,
    coalesce(max(bounds.upper), 1)::text as reach,
    (count(*) filter (where bounds.lower > counter.highest_id))::int as ahead
  from pg_class as ledger
  cross join (select last_value - (not is_called)::int as highest_id from ${sequence}) as counter
  left join pg_inherits as child on child.inhparent = ledger.oid
  left join pg_class as leaf on leaf.oid = child.inhrelid
  left join lateral (
    select
      substring(pg_get_expr(leaf.relpartbound, leaf.oid) from 'FROM \\(''(\\d+)''\\)')::bigint as lower,
      substring(pg_get_expr(leaf.relpartbound, leaf.oid) from 'TO \\(''(\\d+)''\\)')::bigint as upper
  ) as bounds on true
  where ledger.oid = '${outbox}'::regclass
  group by ledger.relowner, counter.highest_id`;
