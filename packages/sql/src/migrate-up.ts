import { throwConfigProblems } from "@waybill/core";
import { checkApplied } from "./applied-migrations.ts";
import type { Namespace } from "./identifier.ts";
import { type MigrationFile, readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { type InstallableDatabase, migratorOf } from "./migrator.ts";

export interface MigrationProgress {
  readonly kind: "applying" | "applied";
  readonly set: string;
  readonly name: string;
  readonly isBreaking: boolean;
}

export interface MigrateUpOptions {
  /** Called before and after each migration that this call applies. */
  readonly onProgress?: (progress: MigrationProgress) => void;
  /** Milliseconds for one migration, the wait for other installers included; on MySQL for each of its statements. Default 600 000. */
  readonly deadlineMs?: number;
}

/**
 * Applies what is missing of these sets, in their order, and answers what it applied itself. Creates the schema of the namespace if it
 * is missing. Safe to call from many processes at once, and again at any time: on PostgreSQL each migration is a transaction, on MySQL it is
 * statements that can be repeated, and what was interrupted is taken up again.
 *
 * Needs the rights of the schema's owner. On PostgreSQL migrations run inside transactions: none can say `create index concurrently`.
 *
 * @throws WAYBILL_MIGRATION_CHANGED, WAYBILL_SCHEMA_MISMATCH (the database is ahead of these files): before anything is applied
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN: what was
 *   applied so far stays
 */
export async function migrateUp(
  database: InstallableDatabase,
  space: Namespace,
  sets: readonly MigrationSet[],
  options: MigrateUpOptions = {},
): Promise<readonly MigrationFile[]> {
  const { onProgress, deadlineMs = 600_000 } = options;
  if (database.dialect !== space.dialect) {
    const problem = `is for ${space.dialect}, and the database speaks ${database.dialect}`;
    throwConfigProblems("The migration", [{ option: "namespace", problem }]);
  }
  const migrator = migratorOf(space.dialect);
  const names = sets.map(({ name }) => name);
  const applied = await migrator.readApplied(database, space, names);
  const missing: MigrationFile[] = [];
  for (const set of sets) {
    const files = await readMigrationFiles(space.dialect, set);
    const ofSet = applied.filter((migration) => migration.set === set.name);
    checkApplied(set.name, ofSet, files);
    missing.push(...files.filter(({ number }) => !ofSet.some((migration) => migration.number === number)));
  }

  const ours: MigrationFile[] = [];
  for (const file of missing) {
    const { set, name, isBreaking } = file;
    const tell = (kind: MigrationProgress["kind"]): void => onProgress?.({ kind, set, name, isBreaking });
    if (!(await migrator.apply(database, space, file, { onApplying: () => tell("applying"), deadlineMs }))) continue;
    tell("applied");
    ours.push(file);
  }
  return ours;
}
