import type { MigrationSet } from "@waybill/sql";

/** This service's own tables. */
export const paymentMigrations: MigrationSet = { name: "payment", directory: new URL("../sql/", import.meta.url) };
