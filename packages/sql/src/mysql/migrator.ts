/**
 * Applies migrations, statement by statement, for each commits by itself.
 *
 *     GET_LOCK ─▶ is it applied? ──yes──▶ RELEASE_LOCK, go on
 *                      └──no──▶ its statements, one by one ─▶ its row ─▶ RELEASE_LOCK
 *
 * Any number of installers may run at once: the lock lets one through, the others find its rows. The lock belongs to a connection that is used
 * for nothing else and is closed afterwards: a crash at any arrow frees the lock as soon as the server is done with the last statement.
 * Then some statements of the file have been applied and its row is missing: the next installer repeats all of them, which every
 * statement must allow (`create table if not exists`).
 */
import { isWaybillError, throwConfigProblems } from "@waybill/core";
import type { AppliedMigration } from "../applied-migrations.ts";
import type { Connection, Statements } from "../database.ts";
import { deadlineError } from "../deadline-error.ts";
import { type Namespace, schemaOf, tableOf } from "../identifier.ts";
import { inNamespace, type MigrationFile, operationOf } from "../migration-file.ts";
import type { ApplyOptions, CopyOptions, InstallableDatabase, Migrator } from "../migrator.ts";
import { committedValue } from "../outcome.ts";
import { splitStatements } from "../split-statements.ts";
import { listCopies, statementsOfCopy } from "../table-copies.ts";
import { writeAudit } from "../write-audit.ts";
import { createMigrationTable } from "./statements/create-migration-table.ts";
import { createSchema, schemaExists } from "./statements/create-schema.ts";
import { insertMigration } from "./statements/insert-migration.ts";
import { lockMigrations, unlockMigrations } from "./statements/lock-migrations.ts";
import { readMigrations } from "./statements/read-migrations.ts";
import { setSearchPath } from "./statements/set-search-path.ts";

/** How often a migration is taken up again after its connection was lost: all of it can be repeated. */
const attemptsMax = 3;
/** No table, and no database, where one is looked for by name. */
const noSuchTable = 1146;
const noSuchDatabase = 1049;

export const mysqlMigrator: Migrator = { readApplied, apply, copy, script };

async function readApplied(
  database: Pick<Statements, "query">,
  space: Namespace,
  sets: readonly string[],
): Promise<readonly AppliedMigration[]> {
  try {
    const rows = await database.query(readMigrations(tableOf(space, "migration")), [], { name: "waybill_read_migrations" });
    return rows
      .map((row) => ({
        set: row["set_name"] as string,
        number: row["number"] as number,
        name: row["name"] as string,
        checksum: row["checksum"] as string,
        appliedAt: row["applied_at"] as string,
      }))
      .filter(({ set }) => sets.includes(set));
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_DATABASE")) throw error;
    const { errno } = error.facts;
    if (errno === noSuchTable || (errno === noSuchDatabase && space.schema !== null)) return [];
    throw error;
  }
}

async function apply(database: InstallableDatabase, space: Namespace, file: MigrationFile, options: ApplyOptions): Promise<boolean> {
  let isOurs = false;
  for (let attempt = 1; ; attempt++) {
    const connection = await database.connect({ purpose: "migrate" });
    try {
      await onConnection(connection, space, file, {
        ...options,
        onRemembering: () => {
          isOurs = true;
        },
      });
      return isOurs;
    } catch (error) {
      const isLost = isWaybillError(error, "WAYBILL_DATABASE") && error.facts.errno === null;
      if (!isLost || attempt >= attemptsMax) throw error;
    } finally {
      await connection.close();
    }
  }
}

interface OneAttempt extends ApplyOptions {
  /** Called before the row that remembers the migration is written: if its answer is lost and the row is there, it is ours. */
  readonly onRemembering: () => void;
}

async function onConnection(connection: Connection, space: Namespace, file: MigrationFile, attempt: OneAttempt): Promise<void> {
  const { deadlineMs } = attempt;
  const options = { name: operationOf(file), deadlineMs };
  const migrations = tableOf(space, "migration");
  await enter(connection, space, options);
  const applied = await connection.query(readMigrations(migrations), [], options);
  if (!applied.some((row) => row["set_name"] === file.set && row["number"] === file.number)) {
    attempt.onApplying();
    for (const statement of splitStatements(inNamespace(space, file.text))) await connection.execute(statement, [], options);
    for (const copy of file.copies === null ? [] : await listCopies(connection, space, file.copies)) {
      for (const statement of statementsOfCopy(space, file, copy)) await connection.execute(statement, [], options);
    }
    attempt.onRemembering();
    await connection.execute(insertMigration(migrations), [file.set, file.number, file.name, file.checksum], options);
  }
  await connection.query(unlockMigrations, [space.schema], options);
}

async function copy(
  database: InstallableDatabase,
  space: Namespace,
  files: readonly MigrationFile[],
  wanted: CopyOptions,
): Promise<boolean> {
  const { name, audit, check, deadlineMs } = wanted;
  const options = { name: `making a copy of the tables of ${files[0]?.set}`, deadlineMs };
  const connection = await database.connect({ purpose: "migrate" });
  try {
    await enter(connection, space, options);
    const applied = await readApplied(connection, space, [...new Set(files.map(({ set }) => set))]);
    check(applied);
    const [copies = null] = files.map((file) => file.copies);
    if (copies !== null && (await listCopies(connection, space, copies)).includes(name)) return false;
    const statements = files.flatMap((file) => statementsOfCopy(space, file, name));
    const isRow = (statement: string): boolean => /^insert\b/i.test(statement);
    for (const statement of statements.filter((each) => !isRow(each))) await connection.execute(statement, [], options);
    // Last, so that nobody finds a copy without its tables.
    const outcome = await connection.unitOfWork(
      async (tx) => {
        for (const statement of statements.filter(isRow)) await tx.execute(statement, []);
        await writeAudit(tx, space, audit);
      },
      { operation: options.name, deadlineMs },
    );
    committedValue(options.name, outcome);
    return true;
  } finally {
    // The lock goes with the connection.
    await connection.close();
  }
}

/** Waits for other installers, and makes what every migration needs. */
async function enter(
  connection: Connection,
  space: Namespace,
  options: { readonly name: string; readonly deadlineMs: number },
): Promise<void> {
  const { name, deadlineMs } = options;
  // The server gives up first, so that a long queue ends in our words and not in a destroyed connection.
  const waitSeconds = Math.max(1, Math.floor(deadlineMs / 1_000) - 1);
  const [row] = await connection.query(lockMigrations, [space.schema, space.schema, waitSeconds], options);
  if (Number(row?.["has_database"]) !== 1) {
    throwConfigProblems("The migration", [{ option: "database", problem: "names no database in its URL, and no schema was given" }]);
  }
  if (Number(row?.["is_locked"]) !== 1) throw deadlineError(`${name}, while other installers were at work,`, deadlineMs);
  const schema = schemaOf(space);
  if (schema !== null) {
    const [found] = await connection.query(schemaExists, [space.schema], options);
    if (Number(found?.["is_there"]) !== 1) await connection.execute(createSchema(schema), [], options);
    await connection.execute(setSearchPath(schema), [], options);
  }
  await connection.execute(createMigrationTable(tableOf(space, "migration")), [], options);
}

function script(space: Namespace, files: readonly MigrationFile[]): string {
  const schema = schemaOf(space);
  const parts = ["-- Run with: mysql --default-character-set=utf8mb4 your_database < this-file. May be run again if it was interrupted."];
  if (schema !== null) parts.push(`${createSchema(schema)};`, `${setSearchPath(schema)};`);
  parts.push(`${createMigrationTable(tableOf(space, "migration")).trim()};`);
  for (const file of files) parts.push(`-- ${file.set}: ${file.name}`, inNamespace(space, file.text).trim(), remember(space, file));
  return `${parts.join("\n\n")}\n`;
}

/** Set, name and checksum hold no quote: a set's name is a plain name of ours, a file's is checked, a checksum is hexadecimal. */
function remember(space: Namespace, file: MigrationFile): string {
  const migrations = tableOf(space, "migration");
  return `insert ignore into ${migrations} (set_name, number, name, checksum)\nvalues ('${file.set}', ${file.number}, '${file.name}', '${file.checksum}');`;
}
