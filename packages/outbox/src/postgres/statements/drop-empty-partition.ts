import type { Identifier } from "@waybill/sql";

/** A partition to drop, and whose it is. `high` is the first id behind it, `stream` a checked name, `waitMs` how long the ledger may be waited for. */
export interface PartitionToDrop {
  readonly partition: Identifier;
  readonly high: bigint;
  readonly stream: string;
  readonly waitMs: number;
}

/**
 * Drops a partition that is empty, and notes that nothing up to its end is there any more. Locks the whole ledger, though not its other partitions,
 * which nobody reaches without it: everybody waits while we wait and while we drop.
 *
 * So it is one statement and a transaction by itself, commit included: no round trip is spent under the lock. Fails with 55P03 where the right to do
 * upkeep or the lock was not to be had, and where a row came in meanwhile. Takes no parameters, as a block of code cannot.
 *
 * Where the database's default is not READ COMMITTED, whose isolation a block of code cannot choose, all of it sees what was there when it began, and not what
 * came in while it waited: there the partition's file tells.
 */
export const dropEmptyPartition = (
  { outbox, streams }: { readonly outbox: Identifier; readonly streams: Identifier },
  { partition, high, stream, waitMs }: PartitionToDrop,
): string => `
  do $$
  begin
    perform 1 from ${streams} where name = '${stream}' for update skip locked;
    if not found then
      raise exception using errcode = '55P03', message = 'somebody else does upkeep';
    end if;
    update ${streams} set removed_to = greatest(removed_to, ${high} - 1) where name = '${stream}';
    perform set_config('lock_timeout', '${waitMs}ms', true);
    lock table only ${outbox} in access exclusive mode;
    if exists (select 1 from ${partition})
      or (current_setting('transaction_isolation') <> 'read committed' and pg_relation_size('${partition}') > 0) then
      raise exception using errcode = '55P03', message = 'a row came in';
    end if;
    drop table ${partition};
  end
  $$`;
