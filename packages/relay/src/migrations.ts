import type { MigrationSet } from "@waybill/sql";

/** The relay's tables: `waybill_subscription`, `waybill_spill`. */
export const relayMigrations: MigrationSet = { name: "relay", directory: new URL("../sql/", import.meta.url) };
