import type { MigrationSet } from "./migration-set.ts";

/** The tables of this package: the audit. (The table of migrations is made by the runner.) */
export const sqlMigrations: MigrationSet = { name: "sql", directory: new URL("../sql/", import.meta.url) };
