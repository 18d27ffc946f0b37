// Your transaction

export type { KnexTransaction } from "./adapters/knex.ts";
export type { Mysql2CallbackConnection, Mysql2Connection } from "./adapters/mysql2.ts";
export type { PgClient } from "./adapters/pg.ts";
export type { TransactionHandle } from "./to-tx.ts";
export { toTx } from "./to-tx.ts";
export type { Dialect, Row, SqlValue, Tx } from "./tx.ts";

// Connections of our own

export type {
  Connection,
  Database,
  OwnedTx,
  OwnedValue,
  ReadOptions,
  StatementOptions,
  Statements,
  TextRow,
  UnitOptions,
  Units,
} from "./database.ts";
export type { HeldLease, HoldLeaseOptions } from "./lease.ts";
export { holdLease } from "./lease.ts";
export type { DatabaseOptions } from "./open-database.ts";
export { openDatabase } from "./open-database.ts";
export type { Outcome } from "./outcome.ts";
export { committedValue } from "./outcome.ts";
export type { RowReader } from "./row-fields.ts";
export { RowFields } from "./row-fields.ts";

// Names

export type { Identifier, Namespace } from "./identifier.ts";
export { checkName, namespace, schemaOf, tableOf } from "./identifier.ts";

// Migrations

export { checkSchema } from "./check-schema.ts";
export type { CreatedTableCopy, CreateTableCopyOptions } from "./create-table-copy.ts";
export { createTableCopy } from "./create-table-copy.ts";
export type { MigrateUpOptions, MigrationProgress } from "./migrate-up.ts";
export { migrateUp } from "./migrate-up.ts";
export type { MigrationFile } from "./migration-file.ts";
export type { MigrationSet } from "./migration-set.ts";
export { migrationSql } from "./migration-sql.ts";
export type { MigrationState } from "./migration-status.ts";
export { migrationStatus } from "./migration-status.ts";
export { sqlMigrations } from "./sql-migrations.ts";
export type { TableCopies } from "./table-copies.ts";

// The server

export { checkServer } from "./check-server.ts";
export type { WantedRights } from "./inspect-rights.ts";
export { inspectRights } from "./inspect-rights.ts";
export { inspectServer } from "./inspect-server.ts";
export type { ServerFinding, ServerReport } from "./server-report.ts";

// Audit

export type { AuditEntry } from "./write-audit.ts";
export { writeAudit } from "./write-audit.ts";
