/**
 * The files of a migration set, as they lie in its folder: `NNN_intent.sql`, numbered from 1 without a gap.
 *
 * The checksum is of the file's bytes, before the prefix is put in: the same file has one checksum in every namespace. A first line
 * `-- waybill: breaking` says that older processes cannot work with what the migration leaves: stop them before it is applied.
 */
import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { throwConfigProblems } from "@waybill/core";
import { checkName, type Namespace } from "./identifier.ts";
import type { MigrationSet } from "./migration-set.ts";
import type { TableCopies } from "./table-copies.ts";
import type { Dialect } from "./tx.ts";

export interface MigrationFile {
  /** The name of its set. */
  readonly set: string;
  /** From 1. */
  readonly number: number;
  /** The file's name without `.sql`: `001_outbox`. */
  readonly name: string;
  /** SHA-256 of the file, hexadecimal. */
  readonly checksum: string;
  readonly isBreaking: boolean;
  readonly text: string;
  /** Of its set; null: all its tables exist once. */
  readonly copies: TableCopies | null;
}

/**
 * Reads a set, ascending.
 *
 * @throws WAYBILL_CONFIG_INVALID if the folder is missing, a name is no `NNN_intent.sql`, or a number is missing or repeated
 */
export async function readMigrationFiles(dialect: Dialect, set: MigrationSet): Promise<readonly MigrationFile[]> {
  const folder = new URL(`${dialect}/`, set.directory);
  const names = await readdir(folder).catch(() => null);
  if (names === null) refuse(set, `has no migrations for ${dialect}; the package is incomplete or of another version`);

  const files: MigrationFile[] = [];
  for (const name of (names as readonly string[]).toSorted()) {
    const number = Number(/^(\d{3})_[a-z0-9_]+\.sql$/.exec(name)?.[1]);
    if (number !== files.length + 1) refuse(set, `must be numbered from 001 without a gap, as NNN_intent.sql; found ${name}`);
    const bytes = await readFile(new URL(name, folder));
    const text = bytes.toString("utf8");
    files.push({
      set: set.name,
      number,
      name: name.slice(0, -".sql".length),
      checksum: createHash("sha256").update(bytes).digest("hex"),
      isBreaking: /^-- waybill: breaking\s*(?:\n|$)/.test(text),
      text,
      copies: set.copies ?? null,
    });
  }
  return files;
}

/**
 * The text of a migration with the prefix of a namespace in place of `waybill_`, wherever that begins a word.
 *
 * @throws WAYBILL_IDENTIFIER_INVALID if a name would become longer than the 63 characters that PostgreSQL keeps (MySQL: 64)
 */
export function inNamespace(space: Namespace, text: string): string {
  return text.replace(/\bwaybill_(\w*)/g, (_, rest: string) => checkName("prefix with a name of ours", `${space.prefix}${rest}`));
}

/** What errors call the work of one migration. */
export function operationOf(file: MigrationFile): string {
  return `migration ${file.name} of set ${file.set}`;
}

function refuse(set: MigrationSet, problem: string): never {
  throwConfigProblems("The migration", [{ option: set.name, problem }]);
  throw new Error("unreachable");
}
