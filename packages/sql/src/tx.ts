/** The two families of SQL we speak. MariaDB is `mysql`. */
export type Dialect = "postgres" | "mysql";

/** The narrowest common ground of all drivers: scalars in. Ids are made by us, times by the database, 64-bit numbers travel as text. */
export type SqlValue = string | number | null | Uint8Array;

/** One row by column name, as the driver that runs the transaction parses it. */
export type Row = Readonly<Record<string, unknown>>;

/**
 * Your open transaction, whatever library opened it. `toTx` makes one of a pg client, a mysql2 connection or a knex transaction; anything else can pass
 * this shape itself. Statements run inside the transaction and are never committed by us.
 */
export interface Tx {
  readonly dialect: Dialect;
  /** Runs one statement with the dialect's own placeholders (`$1` on postgres, `?` on mysql) and answers its rows. */
  query(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>;
  /** Exists on a `Database` only, so a database of ours, where each statement commits by itself, does not fit. */
  readonly unitOfWork?: never;
}
