// Your transaction
export type { Dialect, Row, SqlValue, Tx } from "./tx.ts";

// Connections of our own
export type { Connection, Database, OwnedTx, OwnedValue, StatementOptions, Statements, TextRow, UnitOptions, Units } from "./database.ts";
export { committedValue } from "./outcome.ts";
export type { Outcome } from "./outcome.ts";
export { holdLease } from "./lease.ts";
export type { HeldLease, HoldLeaseOptions } from "./lease.ts";

// Names and migrations
export { checkName, namespace, tableOf } from "./identifier.ts";
export type { Identifier, Namespace } from "./identifier.ts";
export type { MigrationSet } from "./migration-set.ts";
