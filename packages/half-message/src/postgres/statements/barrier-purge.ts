import type { Identifier } from "@waybill/sql";

/** Deletes up to $2 rows of producer $1 from before the horizon, the oldest first. Fewer: no more. Served by the index on created_at. */
export const purgeBarrier = (barrier: Identifier, horizons: Identifier): string => `
  delete from ${barrier}
  where producer = $1 and id in (
    select id
    from ${barrier}
    where producer = $1 and created_at < (select purged_before from ${horizons})
    order by producer, created_at
    limit $2
  )`;
