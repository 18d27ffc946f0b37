import type { Namespace } from "./identifier.ts";
import { type MigrationFile, readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { migratorOf } from "./migrator.ts";

/**
 * All migrations of these sets as one SQL script, for those who apply their schema with another tool: with prefix and schema in place, and
 * with the rows that let `checkSchema` find them. For an empty database; its first line says how to run it: on PostgreSQL in one
 * transaction (`psql -1`), on MySQL again if it was interrupted.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID
 */
export async function migrationSql(space: Namespace, sets: readonly MigrationSet[]): Promise<string> {
  const files: MigrationFile[] = [];
  for (const set of sets) files.push(...(await readMigrationFiles(space.dialect, set)));
  return migratorOf(space.dialect).script(space, files);
}
