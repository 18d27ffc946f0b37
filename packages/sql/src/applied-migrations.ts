import { waybillError } from "@waybill/core";
import type { MigrationFile } from "./migration-file.ts";

/** A migration as the database remembers it. */
export interface AppliedMigration {
  readonly set: string;
  readonly number: number;
  readonly name: string;
  readonly checksum: string;
  /** By the database's clock. */
  readonly appliedAt: string;
}

/**
 * Compares what is applied with the files of one set.
 *
 * @throws WAYBILL_MIGRATION_CHANGED; WAYBILL_SCHEMA_MISMATCH if the database is ahead of the files
 */
export function checkApplied(set: string, applied: readonly AppliedMigration[], files: readonly MigrationFile[]): void {
  for (const migration of applied) {
    const file = files[migration.number - 1];
    if (file === undefined) throw mismatch(set, applied, files);
    if (file.checksum === migration.checksum) continue;
    throw waybillError(
      "WAYBILL_MIGRATION_CHANGED",
      `Migration ${file.name} of set ${set} was applied from another file than this one. Find out which is right: an applied migration is never edited.`,
      { set, migration: file.name, applied: migration.checksum, file: file.checksum },
    );
  }
}

/** The error for a database whose schema version is another than the files'. */
export function mismatch(set: string, applied: readonly AppliedMigration[], files: readonly MigrationFile[]): Error {
  const found = applied.at(-1)?.number ?? null;
  const needed = files.length;
  const advice =
    found !== null && found > needed
      ? "The schema is newer than this version: upgrade this program."
      : "Run `waybill migrate up` with the rights of the schema's owner, or apply what `waybill migrate sql` prints.";
  return waybillError(
    "WAYBILL_SCHEMA_MISMATCH",
    `Set ${set} needs schema version ${needed}; the database has ${found ?? "none"}. ${advice}`,
    { set, found, needed },
  );
}
