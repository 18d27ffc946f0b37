/**
 * Connections that we own, as the engines see them. What `Tx` borrows is the application's; what is here we open, watch and close.
 *
 * Every call has a deadline. When it passes, or when anything but a plain SQL error happens, the connection is destroyed and never
 * used again: a driver that timed out may still hold a half-read answer.
 */
import type { Outcome } from "./outcome.ts";
import type { RowReader } from "./row-fields.ts";
import type { Dialect, Row, SqlValue, Tx } from "./tx.ts";

/** On connections of our own booleans are allowed, too, and on PostgreSQL arrays: 64-bit numbers in them as text. */
export type OwnedValue = SqlValue | boolean | readonly string[];

export interface StatementOptions {
  /** Milliseconds until we give up and destroy the connection. Default: the database's `statementDeadlineMs`. */
  readonly deadlineMs?: number;
  /** What the statement is called in errors. On PostgreSQL it is also prepared under this name, unless a pooler stands in between. */
  readonly name?: string;
}

export interface ReadOptions extends StatementOptions {
  /** Columns come in PostgreSQL's binary form instead of as text; for a statement with values, where the connection `hasBinaryRows`. Default false. */
  readonly isBinary?: boolean;
}

/**
 * A row as text columns in the statement's order, nothing parsed: the cheapest form there is. On MySQL select what is binary as `hex(…)`.
 */
export type TextRow = readonly (string | null)[];

/** Statements of our own outside a transaction: each is a transaction of itself. */
export interface Statements {
  /** @throws WAYBILL_DATABASE, WAYBILL_DEADLINE */
  query(sql: string, values: readonly OwnedValue[], options?: StatementOptions): Promise<readonly Row[]>;
  /** As `query`, with rows as the text that came over the wire. */
  queryText(sql: string, values: readonly OwnedValue[], options?: StatementOptions): Promise<readonly TextRow[]>;
  /**
   * Runs a statement that writes and answers how many rows it wrote. On MySQL an UPDATE counts the rows it *found*, whether or not they
   * changed; `insert … on duplicate key update` counts in a way that says nothing. Throws as `query`.
   */
  execute(sql: string, values: readonly OwnedValue[], options?: StatementOptions): Promise<number>;
}

/** `Tx` over a connection of our own, where arrays are allowed as values, and statements may be prepared. */
export interface OwnedTx extends Tx {
  query(sql: string, values: readonly OwnedValue[], options?: Pick<StatementOptions, "name">): Promise<readonly Row[]>;
  /** As `Statements.execute`. */
  execute(sql: string, values: readonly OwnedValue[], options?: Pick<StatementOptions, "name">): Promise<number>;
}

export interface UnitOptions {
  /** For errors and events: what the unit does, e.g. `dead letter`. */
  readonly operation: string;
  /** Milliseconds for the whole unit, all repetitions included. Default 15 000. */
  readonly deadlineMs?: number;
  /** How often the whole unit is run again after a serialization failure or deadlock. Default 5. */
  readonly repetitionsMax?: number;
  /**
   * PostgreSQL: tables are not read as a whole where an index serves, however small the planner believes them to be. For named statements, whose plan is kept:
   * one made while a table was small would read all of it when it is large, until the server analyses it. Default false.
   */
  readonly byIndex?: boolean;
}

/** Runs units of work. */
export interface Units {
  /**
   * BEGIN, `work`, COMMIT. An error inside poisons the unit: further statements throw WAYBILL_UNIT_POISONED and ROLLBACK follows, even
   * if `work` swallowed the error. Serialization failures and deadlocks (SQLSTATE 40001, 40P01; on MySQL 1213, 1205, 1467, 1020, 3101) run the
   * whole of `work` again with backoff. COMMIT's own answer is checked: PostgreSQL answers ROLLBACK to the COMMIT of an aborted transaction.
   * On MySQL a statement that would commit by itself, such as DDL, is refused; and after a duplicate key (1062) the very same statement with
   * the same values may be sent once more.
   *
   * Does not throw for the database's sake: the outcome tells. Rejects only if no connection was to be had (nothing was done).
   */
  unitOfWork<T>(work: (tx: OwnedTx) => Promise<T>, options: UnitOptions): Promise<Outcome<T>>;
}

/** One connection for one purpose. Used by one caller at a time; calls made side by side run one after the other. */
export interface Connection extends Statements, Units {
  /**
   * As `query`; the rows are what `read` makes of each one's bytes, called once per row and in their order while the answer arrives. For the few
   * statements that bring very many rows. Rejects with what `read` throws; the connection stays.
   */
  readRows<T>(sql: string, values: readonly OwnedValue[], read: RowReader<T>, options?: ReadOptions): Promise<readonly T[]>;
  /**
   * True if `readRows` can have columns in PostgreSQL's binary form: numbers, times and uuids as fixed bytes, the highest first, bytes as they are. The
   * server does a third less for it. False on MySQL, and where the driver makes its own rows.
   */
  readonly hasBinaryRows: boolean;
  /** True if a pooler stands in between (PgBouncer in transaction mode): no SET, no named statement, no LISTEN there. Never on MySQL. */
  readonly isPooled: boolean;
  /** Aborts when the connection is lost or closed. */
  readonly lost: AbortSignal;
  /**
   * PostgreSQL: calls back with each NOTIFY on `channel` from now on, as long as the connection lasts. False: nothing will ever come, because a
   * pooler stands in between, or on MySQL and MariaDB. Throws as `query`, and WAYBILL_IDENTIFIER_INVALID.
   */
  listen(channel: string, onNotified: () => void): Promise<boolean>;
  /** Closes the connection politely, within a second; then by force. Never rejects. */
  close(): Promise<void>;
}

/** The database: a small pool for short work, and dedicated connections. */
export interface Database extends Statements, Units {
  readonly dialect: Dialect;
  /** Opens a connection of its own, outside the pool, and tells the server what we are (application name). */
  connect(options: { readonly purpose: string; readonly deadlineMs?: number }): Promise<Connection>;
  /** Refuses new calls, waits for those made before until the deadline (default 5 000 ms), destroys the rest. Never rejects. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
}
