import type { Identifier } from "@waybill/sql";

/** How many milliseconds ago the horizon lies: rows older than that may be gone. No row: there is no horizon. */
export const readHorizon = (horizons: Identifier): string => `
  select floor(extract(epoch from clock_timestamp() - purged_before) * 1000)::float8 as horizon_age_ms
  from ${horizons}`;
