// Your transaction

export type { KnexTransaction } from "./adapters/knex.ts";
export type { PgClient } from "./adapters/pg.ts";
// Connections of our own
export type { Connection, Database, OwnedTx, OwnedValue, StatementOptions, Statements, TextRow, UnitOptions, Units } from "./database.ts";
export type { Identifier, Namespace } from "./identifier.ts";
// Names and migrations
export { checkName, namespace, tableOf } from "./identifier.ts";
export type { HeldLease, HoldLeaseOptions } from "./lease.ts";
export { holdLease } from "./lease.ts";
export type { MigrationSet } from "./migration-set.ts";
export type { Outcome } from "./outcome.ts";
export { committedValue } from "./outcome.ts";
export type { DatabaseOptions } from "./postgres/database.ts";
export { openDatabase } from "./postgres/database.ts";
export type { TransactionHandle } from "./to-tx.ts";
export { toTx } from "./to-tx.ts";
export type { Dialect, Row, SqlValue, Tx } from "./tx.ts";
