/**
 * What the dialects do differently about migrations: PostgreSQL applies one whole or not at all, in a transaction; on MySQL each statement
 * commits by itself, so that every statement of a file can be repeated and the row that remembers it is written last.
 */
import type { AppliedMigration } from "./applied-migrations.ts";
import type { Database, Statements, Units } from "./database.ts";
import type { Namespace } from "./identifier.ts";
import type { MigrationFile } from "./migration-file.ts";
import { mysqlMigrator } from "./mysql/migrator.ts";
import { postgresMigrator } from "./postgres/migrator.ts";
import type { Dialect } from "./tx.ts";
import type { AuditEntry } from "./write-audit.ts";

/** What installing needs of a database. */
export type InstallableDatabase = Pick<Database, "dialect" | "connect"> & Statements & Units;

export interface ApplyOptions {
  /** Called once the migration is known to be missing. */
  readonly onApplying: () => void;
  readonly deadlineMs: number;
}

export interface CopyOptions {
  readonly name: string;
  readonly audit: AuditEntry;
  /** Throws unless what is applied is what the copy is made from. */
  readonly check: (applied: readonly AppliedMigration[]) => void;
  readonly deadlineMs: number;
}

export interface Migrator {
  /** What is applied of these sets, ascending. Empty also where nothing was ever migrated. */
  readApplied(database: Pick<Statements, "query">, space: Namespace, sets: readonly string[]): Promise<readonly AppliedMigration[]>;
  /** Applies one migration under the installers' lock. Answers false if another installer was first. */
  apply(database: InstallableDatabase, space: Namespace, file: MigrationFile, options: ApplyOptions): Promise<boolean>;
  /** Makes a copy of the tables of one set, under the installers' lock. Answers false if it is there. */
  copy(database: InstallableDatabase, space: Namespace, files: readonly MigrationFile[], options: CopyOptions): Promise<boolean>;
  /** These files as one script for the database's own client. */
  script(space: Namespace, files: readonly MigrationFile[]): string;
}

export function migratorOf(dialect: Dialect): Migrator {
  return dialect === "postgres" ? postgresMigrator : mysqlMigrator;
}
