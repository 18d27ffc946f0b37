import type { MigrationSet } from "@waybill/sql";

/** The tables of the service. */
export const halfMessageMigrations: MigrationSet = { name: "half-message", directory: new URL("../sql/", import.meta.url) };

/** The tables that a producer keeps beside its business tables, in its own database. */
export const barrierMigrations: MigrationSet = { name: "barrier", directory: new URL("../sql-barrier/", import.meta.url) };
