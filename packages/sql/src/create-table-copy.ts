import { checkApplied, mismatch } from "./applied-migrations.ts";
import { checkName, type Namespace } from "./identifier.ts";
import { type MigrationFile, readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { type InstallableDatabase, migratorOf } from "./migrator.ts";
import { grantsOfCopy } from "./table-copies.ts";
import type { AuditEntry } from "./write-audit.ts";

export interface CreateTableCopyOptions {
  /** Written with the row that lists the copy. */
  readonly audit: AuditEntry;
  /** Milliseconds, the wait for installers included; on MySQL for each statement. Default 60 000. */
  readonly deadlineMs?: number;
}

export interface CreatedTableCopy {
  /** False: it was there already, and nothing was done. */
  readonly isNew: boolean;
  /** What to grant on its tables, to roles called as in the migrations' comments. */
  readonly grants: readonly string[];
}

/**
 * Makes another copy of a set's tables, as all its migrations define them: see `table-copies.ts`. Safe to call from many processes at once, and
 * again: on PostgreSQL it is one transaction; on MySQL what was interrupted is taken up again, and the copy is listed last. Needs the rights of the
 * schema's owner, and the set's schema version as this program knows it.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID, WAYBILL_SCHEMA_MISMATCH, WAYBILL_MIGRATION_CHANGED, WAYBILL_DATABASE, WAYBILL_DEADLINE,
 *   WAYBILL_OUTCOME_UNKNOWN (call it again)
 */
export async function createTableCopy(
  database: InstallableDatabase,
  space: Namespace,
  set: MigrationSet,
  name: string,
  { audit, deadlineMs = 60_000 }: CreateTableCopyOptions,
): Promise<CreatedTableCopy> {
  checkName(set.copies?.listedIn ?? "copy", name);
  const files = await readMigrationFiles(space.dialect, set);
  const migrator = migratorOf(space.dialect);
  const isNew = await migrator.copy(database, space, files, {
    name,
    audit,
    deadlineMs,
    // Under the installers' lock: nobody can migrate in between.
    check: (applied) => {
      checkApplied(set.name, applied, files);
      if (applied.length !== files.length) throw mismatch(set.name, applied, files);
    },
  });
  return { isNew, grants: files.flatMap((file: MigrationFile) => grantsOfCopy(space, file, name)) };
}
