import type { Identifier } from "@waybill/sql";
import { partitionBounds } from "./partition-bounds.ts";

/**
 * How large a ledger is. $1 stream · $2 how many rows of the default partition are counted at most. One row, numbers as text: highest id handed out ·
 * up to which id history was removed · bytes on disk, indexes included · partitions besides the default one · how many of them lie wholly
 * ahead · rows in the default one · the database's clock in milliseconds since 1970. Reads the catalogue; looking at the size of a partition
 * waits for whoever has it for himself.
 */
export const measureLedger = (outbox: Identifier, defaultPartition: Identifier, sequence: Identifier, stream: Identifier): string => `
  select
    counter.highest_id::text as highest_id,
    (select removed_to from ${stream} where name = $1)::text as removed_to,
    coalesce(sum(pg_total_relation_size(leaf.oid)), 0)::text as bytes,
    count(bounds.low)::text as partitions,
    (count(*) filter (where bounds.low > counter.highest_id))::text as ahead,
    (select count(*) from (select 1 from ${defaultPartition} limit $2) as row)::text as default_rows,
    floor(date_part('epoch', clock_timestamp()) * 1000)::bigint::text as now_ms
  from (select last_value - (not is_called)::int as highest_id from ${sequence}) as counter
  left join pg_inherits as child on child.inhparent = '${outbox}'::regclass
  left join pg_class as leaf on leaf.oid = child.inhrelid
  left join lateral (${partitionBounds}
  ) as bounds on true
  group by counter.highest_id`;
