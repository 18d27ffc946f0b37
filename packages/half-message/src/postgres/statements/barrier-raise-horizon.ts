import type { Identifier } from "@waybill/sql";

/** Raises the horizon to $1 milliseconds ago, never back. Whoever else raises it waits. Answers the row; none: there is no horizon. */
export const raiseHorizon = (horizons: Identifier): string => `
  update ${horizons}
  set purged_before = greatest(purged_before, clock_timestamp() - $1::float8 * interval '1 millisecond')
  returning 1 as raised`;
