import type { MigrationSet } from "@waybill/sql";

/** The migrations of this package, for `migrateUp` and `checkSchema`. */
export const deadLetterMigrations: MigrationSet = { name: "dead-letter", directory: new URL("../sql/", import.meta.url) };
