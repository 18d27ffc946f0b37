import { type Namespace, schemaOf, tableOf } from "./identifier.ts";
import { inNamespace, type MigrationFile, readMigrationFiles } from "./migration-file.ts";
import type { MigrationSet } from "./migration-set.ts";
import { createMigrationTable } from "./postgres/statements/create-migration-table.ts";
import { createSchema } from "./postgres/statements/create-schema.ts";

/**
 * All migrations of these sets as one SQL script, for those who apply their schema with another tool: with prefix and schema in place, and
 * with the rows that let `checkSchema` find them. For an empty database; run it in one transaction (`psql -1`).
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID
 */
export async function migrationSql(space: Namespace, sets: readonly MigrationSet[]): Promise<string> {
  const schema = schemaOf(space);
  const parts = ["-- Run in one transaction: psql -1 -v ON_ERROR_STOP=1 -f this-file"];
  if (schema !== null) parts.push(`${createSchema(schema)};`, `set search_path to ${schema};`);
  parts.push(`${createMigrationTable(tableOf(space, "migration")).trim()};`);
  for (const set of sets) {
    for (const file of await readMigrationFiles(space.dialect, set)) {
      parts.push(`-- ${file.set}: ${file.name}`, inNamespace(space, file.text).trim(), remember(space, file));
    }
  }
  if (schema !== null) parts.push("reset search_path;");
  return `${parts.join("\n\n")}\n`;
}

/** Set, name and checksum hold no quote: a set's name is a plain name of ours, a file's is checked, a checksum is hexadecimal. */
function remember(space: Namespace, file: MigrationFile): string {
  const migrations = tableOf(space, "migration");
  return `insert into ${migrations} (set_name, number, name, checksum)\nvalues ('${file.set}', ${file.number}, '${file.name}', '${file.checksum}');`;
}
