import type { Identifier } from "@waybill/sql";
import { partitionBounds } from "./partition-bounds.ts";

/**
 * How large a ledger is. $1 stream · $2 how many rows of the default partition are counted at most. One row, numbers as text: highest id handed out ·
 * up to which id history was removed · bytes on disk, indexes included · partitions besides the default one · how many of them lie wholly
 * ahead · rows in the default one, which are those with ids that no other has: read through the ledger, for a role that may read it may not read a
 * partition by its name · the database's clock in milliseconds since 1970. Reads the catalogue; looking at the size of a partition
 * waits for whoever has it for himself. The ledger comes first, without a row of it: who locks all of it locks it before its partitions and the ids'
 * sequence, and the other way round the two would wait for each other.
 */
export const measureLedger = (outbox: Identifier, sequence: Identifier, stream: Identifier): string => `
  with bound as (
    select bounds.low, bounds.high
    from pg_inherits as child
    join pg_class as leaf on leaf.oid = child.inhrelid
    cross join lateral (${partitionBounds}
    ) as bounds
    where child.inhparent = '${outbox}'::regclass
      and bounds.low is not null
  ),
  gap as (
    select coalesce(lag(high) over (order by low), 0) as low, low as high
    from bound
    union all
    select coalesce(max(high), 0), 9223372036854775807
    from bound
  )
  select
    counter.highest_id::text as highest_id,
    (select removed_to from ${stream} where name = $1)::text as removed_to,
    coalesce(sum(pg_total_relation_size(leaf.oid)), 0)::text as bytes,
    count(bounds.low)::text as partitions,
    (count(*) filter (where bounds.low > counter.highest_id))::text as ahead,
    (
      select count(*)
      from (
        select 1
        from gap
        cross join lateral (select 1 from ${outbox} where id >= gap.low and id < gap.high limit $2::bigint) as row
        limit $2::bigint
      ) as row
    )::text as default_rows,
    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint::text as now_ms
  from (select 1) as one
  left join only ${outbox} as ledger on false
  cross join (select last_value - (not is_called)::int as highest_id from ${sequence}) as counter
  left join pg_inherits as child on child.inhparent = '${outbox}'::regclass
  left join pg_class as leaf on leaf.oid = child.inhrelid
  left join lateral (${partitionBounds}
  ) as bounds on true
  group by counter.highest_id`;
