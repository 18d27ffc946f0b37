import type { MigrationSet } from "@waybill/sql";

/** This service's own tables. */
export const inventoryMigrations: MigrationSet = { name: "inventory", directory: new URL("../sql/", import.meta.url) };
