import { waybillError } from "@waybill/core";
import { checkSqlValues, withBuffers } from "../sql-value.ts";
import type { Row, SqlValue, Tx } from "../tx.ts";
import { joinedError, poisonedError } from "./joined-error.ts";

/** What we need of a `pg` client. `totalCount` exists on a Pool only, so a Pool does not fit. */
export interface PgClient {
  query(sql: string, values: SqlValue[]): Promise<{ readonly rows: readonly Row[] }>;
  readonly totalCount?: never;
}

/** From pg 8.23 on: the status in the server's last answer. null before the connection is open. */
interface TellsStatus {
  getTransactionStatus(): string | null;
}

/** A pg client after BEGIN, as a `Tx`. Rows are parsed as the application has set it up. */
export function pgTx(client: PgClient): Tx {
  if ("totalCount" in client) {
    throw waybillError(
      "WAYBILL_NOT_IN_TRANSACTION",
      "A pg Pool runs each statement on some connection: check a client out with pool.connect(), send BEGIN over it, and pass that client.",
      { handle: "pool" },
    );
  }
  checkStatus(client);
  return {
    dialect: "postgres",
    async query(sql, values) {
      checkSqlValues(values);
      checkStatus(client);
      try {
        return (await client.query(sql, withBuffers(values))).rows;
      } catch (error) {
        throw joinedError(error);
      }
    },
  };
}

function checkStatus(client: PgClient): void {
  if (!tellsStatus(client)) return;
  const status = client.getTransactionStatus();
  if (status === "T") return;
  if (status === "E") throw poisonedError("postgres");
  const message = "This pg client is outside a transaction, each statement would commit by itself: await client.query('begin') first.";
  throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "autocommit" });
}

function tellsStatus(client: PgClient): client is PgClient & TellsStatus {
  return typeof (client as Partial<TellsStatus>).getTransactionStatus === "function";
}
