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
import { isWaybillError } from "@waybill/core";
import type { AppliedMigration } from "../applied-migrations.ts";
import type { OwnedTx, Statements } from "../database.ts";
import { type Namespace, schemaOf, tableOf } from "../identifier.ts";
import { inNamespace, type MigrationFile, operationOf } from "../migration-file.ts";
import type { ApplyOptions, CopyOptions, InstallableDatabase, Migrator } from "../migrator.ts";
import { committedValue } from "../outcome.ts";
import { listCopies, statementsOfCopy } from "../table-copies.ts";
import { writeAudit } from "../write-audit.ts";
import { createMigrationTable } from "./statements/create-migration-table.ts";
import { createSchema, schemaExists } from "./statements/create-schema.ts";
import { insertMigration } from "./statements/insert-migration.ts";
import { lockMigrations, readCommitted } from "./statements/lock-migrations.ts";
import { readMigrations } from "./statements/read-migrations.ts";
import { setSearchPath } from "./statements/set-search-path.ts";

/** How often a migration is looked at again after a COMMIT without an answer. */
const unknownAttemptsMax = 3;

export const postgresMigrator: Migrator = { readApplied, apply, copy, script };

async function readApplied(
  database: Pick<Statements, "query">,
  space: Namespace,
  sets: readonly string[],
): Promise<readonly AppliedMigration[]> {
  try {
    return await appliedIn(database, space, sets);
  } catch (error) {
    if (isWaybillError(error, "WAYBILL_DATABASE") && error.facts.sqlState === "42P01") return [];
    throw error;
  }
}

async function appliedIn(
  statements: Pick<Statements, "query">,
  space: Namespace,
  sets: readonly string[],
): Promise<readonly AppliedMigration[]> {
  const rows = await statements.query(readMigrations(tableOf(space, "migration")), [sets], { name: "waybill_read_migrations" });
  return rows.map((row) => ({
    set: row["set_name"] as string,
    number: row["number"] as number,
    name: row["name"] as string,
    checksum: row["checksum"] as string,
    appliedAt: row["applied_at"] as string,
  }));
}

async function apply(database: InstallableDatabase, space: Namespace, file: MigrationFile, options: ApplyOptions): Promise<boolean> {
  const { onApplying, deadlineMs } = options;
  const operation = operationOf(file);
  const text = inNamespace(space, file.text);
  let isOurs = false;
  for (let attempt = 1; ; attempt++) {
    const outcome = await database.unitOfWork(
      async (tx) => {
        await enter(tx, space);
        if (await isApplied(tx, space, file)) return;
        onApplying();
        await tx.query(text, []);
        for (const name of file.copies === null ? [] : await listCopies(tx, space, file.copies)) {
          for (const statement of statementsOfCopy(space, file, name)) await tx.query(statement, []);
        }
        await tx.query(insertMigration(tableOf(space, "migration")), [file.set, file.number, file.name, file.checksum]);
        isOurs = true;
      },
      { operation, deadlineMs },
    );
    if (outcome.kind === "unknown" && attempt < unknownAttemptsMax) continue;
    committedValue(operation, outcome);
    return isOurs;
  }
}

async function copy(
  database: InstallableDatabase,
  space: Namespace,
  files: readonly MigrationFile[],
  options: CopyOptions,
): Promise<boolean> {
  const { name, audit, check, deadlineMs } = options;
  const operation = `making a copy of the tables of ${files[0]?.set}`;
  const outcome = await database.unitOfWork(
    async (tx) => {
      await enter(tx, space);
      check(await appliedIn(tx, space, [...new Set(files.map(({ set }) => set))]));
      const [copies = null] = files.map((file) => file.copies);
      if (copies !== null && (await listCopies(tx, space, copies)).includes(name)) return false;
      for (const statement of files.flatMap((file) => statementsOfCopy(space, file, name))) await tx.query(statement, []);
      await writeAudit(tx, space, audit);
      return true;
    },
    { operation, deadlineMs },
  );
  return committedValue(operation, outcome);
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

function script(space: Namespace, files: readonly MigrationFile[]): string {
  const schema = schemaOf(space);
  const parts = ["-- Run in one transaction: psql -1 -v ON_ERROR_STOP=1 -f this-file"];
  if (schema !== null) parts.push(`${createSchema(schema)};`, `set search_path to ${schema};`);
  parts.push(`${createMigrationTable(tableOf(space, "migration")).trim()};`);
  for (const file of files) parts.push(`-- ${file.set}: ${file.name}`, inNamespace(space, file.text).trim(), remember(space, file));
  if (schema !== null) parts.push("reset search_path;");
  return `${parts.join("\n\n")}\n`;
}

/** Set, name and checksum hold no quote: a set's name is a plain name of ours, a file's is checked, a checksum is hexadecimal. */
function remember(space: Namespace, file: MigrationFile): string {
  const migrations = tableOf(space, "migration");
  return `insert into ${migrations} (set_name, number, name, checksum)\nvalues ('${file.set}', ${file.number}, '${file.name}', '${file.checksum}');`;
}
