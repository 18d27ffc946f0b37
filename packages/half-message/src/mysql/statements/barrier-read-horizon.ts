import type { Identifier } from "@waybill/sql";

/** How many milliseconds ago the horizon lies: rows older than that may be gone. No row: there is no horizon. */
export const readHorizon = (horizons: Identifier): string => `
  select timestampdiff(microsecond, purged_before, utc_timestamp(6)) div 1000 as horizon_age_ms
  from ${horizons}`;
