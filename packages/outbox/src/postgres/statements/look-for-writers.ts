import type { Identifier } from "@waybill/sql";

/**
 * Looks at who could still fill a hole: everybody who holds a writer's lock on the ledger or one of its partitions. Or on one of `others`, for
 * who asks about more than holes.
 *
 * One row, all text: whether the server is in recovery (then nothing can be proved) · the highest id handed out · virtual transaction
 * ids of those with a session · of those prepared, which have none; both separated by spaces. Needs no rights but SELECT on the sequence.
 */
export const lookForWriters = (outbox: Identifier, sequence: Identifier, others: readonly Identifier[] = []): string => `
  select
    pg_is_in_recovery()::text as is_standby,
    (select last_value - (not is_called)::int from ${sequence})::text as highest_id,
    coalesce(string_agg(distinct held.virtualtransaction, ' ') filter (where held.pid is not null), '') as live,
    coalesce(string_agg(distinct held.virtualtransaction, ' ') filter (where held.pid is null), '') as prepared
  from pg_locks as held
  where held.locktype = 'relation'
    and held.mode = 'RowExclusiveLock'
    and held.granted
    and held.virtualtransaction is not null
    and held.database = (select oid from pg_database where datname = current_database())
    and held.relation in (
      select '${outbox}'::regclass
      union all
      select inhrelid from pg_inherits where inhparent = '${outbox}'::regclass${others
        .map(
          (table) => `
      union all
      select '${table}'::regclass`,
        )
        .join("")}
    )`;
