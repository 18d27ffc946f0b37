/**
 * Applies migrations: each in one transaction together with the row that remembers it.
 *
 *     BEGIN ─▶ lock ─▶ is it applied? ──yes──▶ COMMIT, go on
 *                          └──no──▶ the file ─▶ its row ─▶ COMMIT
 *
 * Any number of installers may run at once: the lock lets one through, the others find its rows. A crash at any arrow leaves the migration
 * whole or absent, and the lock goes with its transaction. A COMMIT whose answer was lost is asked for by the row: the next attempt
 * finds it or applies the migration again.
 */

import { checkApplied, readApplied } from "./applied-migrations.ts";
import type { Database, OwnedTx, Statements, Units } from "./database.ts";
import { type Namespace, schemaOf, tableOf } from "./identifier.ts";
import { inNamespace, type MigrationFile, readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { committedValue } from "./outcome.ts";
import { createMigrationTable } from "./postgres/statements/create-migration-table.ts";
import { createSchema, schemaExists } from "./postgres/statements/create-schema.ts";
import { insertMigration } from "./postgres/statements/insert-migration.ts";
import { lockMigrations, readCommitted } from "./postgres/statements/lock-migrations.ts";
import { readMigrations } from "./postgres/statements/read-migrations.ts";
import { setSearchPath } from "./postgres/statements/set-search-path.ts";

export interface MigrationProgress {
  readonly kind: "applying" | "applied";
  readonly set: string;
  readonly name: string;
  readonly isBreaking: boolean;
}

export interface MigrateUpOptions {
  /** Called before and after each migration that this call applies. */
  readonly onProgress?: (progress: MigrationProgress) => void;
  /** Milliseconds for one migration, the wait for other installers included. Default 600 000. */
  readonly deadlineMs?: number;
}

/** How often a migration is looked at again after a COMMIT without an answer. */
const unknownAttemptsMax = 3;

/**
 * Applies what is missing of these sets, in their order, and answers what it applied itself. Creates the schema of the namespace if it
 * is missing. Safe to call from many processes at once, and again at any time.
 *
 * Needs the rights of the schema's owner. Migrations run inside transactions: none can say `create index concurrently`.
 *
 * @throws WAYBILL_MIGRATION_CHANGED, WAYBILL_SCHEMA_MISMATCH (the database is ahead of these files): before anything is applied
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN: what was
 *   applied so far stays
 */
export async function migrateUp(
  database: Pick<Database, "dialect"> & Statements & Units,
  space: Namespace,
  sets: readonly MigrationSet[],
  options: MigrateUpOptions = {},
): Promise<readonly MigrationFile[]> {
  const applied = await readApplied(
    database,
    space,
    sets.map(({ name }) => name),
  );
  const missing: MigrationFile[] = [];
  for (const set of sets) {
    const files = await readMigrationFiles(space.dialect, set);
    const ofSet = applied.filter((migration) => migration.set === set.name);
    checkApplied(set.name, ofSet, files);
    missing.push(...files.filter(({ number }) => !ofSet.some((migration) => migration.number === number)));
  }

  const ours: MigrationFile[] = [];
  for (const file of missing) {
    if (await applyOne(database, space, file, options)) ours.push(file);
  }
  return ours;
}

/** Answers false if another installer was first. */
async function applyOne(database: Units, space: Namespace, file: MigrationFile, options: MigrateUpOptions): Promise<boolean> {
  const { onProgress, deadlineMs = 600_000 } = options;
  const operation = `migration ${file.name} of set ${file.set}`;
  const text = inNamespace(space, file.text);
  const { set, name, isBreaking } = file;
  let isOurs = false;
  for (let attempt = 1; ; attempt++) {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await enter(tx, space);
        if (await isApplied(tx, space, file)) return false;
        onProgress?.({ kind: "applying", set, name, isBreaking });
        await tx.query(text, []);
        await tx.query(insertMigration(tableOf(space, "migration")), [set, file.number, name, file.checksum]);
        isOurs = true;
        return true;
      },
      { operation, deadlineMs },
    );
    if (outcome.kind === "unknown" && attempt < unknownAttemptsMax) continue;
    committedValue(operation, outcome);
    if (isOurs) onProgress?.({ kind: "applied", set, name, isBreaking });
    return isOurs;
  }
}

/** Waits for other installers, and makes what every migration needs. */
async function enter(tx: OwnedTx, space: Namespace): Promise<void> {
  await tx.query(readCommitted, []);
  await tx.query(lockMigrations, []);
  const schema = schemaOf(space);
  if (schema !== null) {
    const [row] = await tx.query(schemaExists, [space.schema]);
    if (row?.["exists"] !== true) await tx.query(createSchema(schema), []);
    await tx.query(setSearchPath, [schema]);
  }
  await tx.query(createMigrationTable(tableOf(space, "migration")), []);
}

async function isApplied(tx: OwnedTx, space: Namespace, file: MigrationFile): Promise<boolean> {
  const rows = await tx.query(readMigrations(tableOf(space, "migration")), [[file.set]]);
  return rows.some((row) => row["number"] === file.number);
}
