import type { MigrationSet } from "@waybill/sql";

/** The migrations of this package, for `migrateUp` and `checkSchema`. Those of `@waybill/dead-letter` are needed, too. */
export const inboxMigrations: MigrationSet = { name: "inbox", directory: new URL("../sql/", import.meta.url) };
