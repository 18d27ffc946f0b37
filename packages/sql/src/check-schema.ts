import { checkApplied, mismatch } from "./applied-migrations.ts";
import type { Statements } from "./database.ts";
import type { Namespace } from "./identifier.ts";
import { readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { migratorOf } from "./migrator.ts";

/**
 * Checks that the database has exactly the schema version that this version's files describe. Every engine does so when it starts; it
 * changes nothing, and needs SELECT on the table of migrations.
 *
 * A newer schema is refused, too: what a later version relies on – another column, another proof – an older one would not keep. Roll out
 * by migrating first and starting new processes next; running ones are not asked again, and work on unless the migration says
 * `-- waybill: breaking`.
 *
 * @throws WAYBILL_SCHEMA_MISMATCH with what was found (null: none) and needed; WAYBILL_MIGRATION_CHANGED; WAYBILL_DATABASE,
 *   WAYBILL_DEADLINE
 */
export async function checkSchema(database: Pick<Statements, "query">, space: Namespace, set: MigrationSet): Promise<void> {
  const files = await readMigrationFiles(space.dialect, set);
  const applied = await migratorOf(space.dialect).readApplied(database, space, [set.name]);
  checkApplied(set.name, applied, files);
  if (applied.length !== files.length) throw mismatch(set.name, applied, files);
}
