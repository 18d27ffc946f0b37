import type { MigrationSet } from "@waybill/sql";

/** This service's own tables. */
export const orderMigrations: MigrationSet = { name: "order", directory: new URL("../sql/", import.meta.url) };
