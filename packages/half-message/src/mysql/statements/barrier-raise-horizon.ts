import type { Identifier } from "@waybill/sql";

/** Raises the horizon to ?1 milliseconds ago, never back. Whoever else raises it waits. Writes one row; none: there is no horizon. */
export const raiseHorizon = (horizons: Identifier): string => `
  update ${horizons}
  set purged_before = greatest(purged_before, utc_timestamp(6) - interval ? * 1000 microsecond)`;
