import { isWaybillError, waybillError } from "@waybill/core";
import { databaseError, errnoOf, mayRepeatStatement } from "../mysql/database-error.ts";
import { rowOptions } from "../mysql/owned-types.ts";
import { createPoison } from "../poison.ts";
import { checkSqlValues, withBuffers } from "../sql-value.ts";
import type { Row, SqlValue, Tx } from "../tx.ts";
import { poisonedError } from "./joined-error.ts";
import { askCharset, askStatus, checkCharset, checkInTransaction, hasForeignText, statusIn } from "./mysql-status.ts";

/** What we need of a connection of `mysql2/promise`. `getConnection` exists on a pool only, so a pool does not fit. */
export interface Mysql2Connection {
  execute(sql: string, values: SqlValue[]): Promise<readonly [unknown, unknown]>;
  query(sql: string): Promise<readonly [unknown, unknown]>;
  readonly getConnection?: never;
}

/** A connection of `mysql2` with callbacks: it knows its own promise form. */
export interface Mysql2CallbackConnection {
  promise(): Mysql2Connection;
  readonly getConnection?: never;
}

/** As the driver really has it; its types for options are its own. */
interface Executes {
  execute(options: object): Promise<readonly [unknown, unknown]>;
  query(sql: string | object): Promise<readonly [unknown, unknown]>;
}

/** Connections whose character set was looked at; nobody changes it between two transactions. */
const utf8 = new WeakSet<object>();

/**
 * A mysql2 connection after `beginTransaction`, as a `Tx`. Statements are prepared, so that the session's `sql_mode` cannot change what a value
 * means; text beyond ASCII is refused on a connection that is not utf8mb4, where it would be stored as something else; and rows are parsed as on our own connections, whatever casts the application has set.
 *
 * Before each statement the server is asked whether a transaction is open. A statement of ours that failed is remembered here, for
 * as long as this `Tx` is used; what of yours fails, MySQL forgets: let errors out and roll back.
 */
export function mysql2Tx(handle: Mysql2Connection | Mysql2CallbackConnection): Tx {
  if ("getConnection" in handle && typeof (handle as { getConnection?: unknown }).getConnection === "function") {
    const message =
      "A mysql2 pool runs each statement on some connection: take one with pool.getConnection(), begin a transaction over it, and pass that connection.";
    throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "pool" });
  }
  const connection = ("promise" in handle ? handle.promise() : handle) as unknown as Executes;
  const poison = createPoison();
  return {
    dialect: "mysql",
    async query(sql, values) {
      checkSqlValues(values);
      const statement = { sql, values };
      const blocking = poison.blocks(statement);
      if (blocking !== null) throw poisonedError("mysql", blocking);
      try {
        await checkOpen(connection);
        if (hasForeignText(values)) await checkUtf8(handle, connection);
        const [result] = await connection.execute({ sql, values: withBuffers(values), ...rowOptions });
        poison.passed();
        return Array.isArray(result) ? (result as readonly Row[]) : [];
      } catch (error) {
        const told = toldOf(error);
        poison.failed(statement, told, mayRepeatStatement({ errno: errnoOf(error) }));
        throw told;
      }
    },
  };
}

async function checkOpen(connection: Executes): Promise<void> {
  const status = statusIn(await connection.query(askStatus));
  if (status !== null) return checkInTransaction(status);
  const message =
    "Pass a connection of mysql2 (its promise or its callback API) inside a transaction: this one does not tell the server's status.";
  throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "unknown" });
}

async function checkUtf8(handle: object, connection: Executes): Promise<void> {
  if (utf8.has(handle)) return;
  const [rows] = await connection.query({ sql: askCharset, ...rowOptions });
  checkCharset(rows);
  utf8.add(handle);
}

function toldOf(error: unknown): Error {
  return isWaybillError(error) ? error : databaseError("a statement in your transaction", error);
}
