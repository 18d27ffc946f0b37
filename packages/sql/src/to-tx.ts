/**
 * Joins a transaction that somebody else opened. Nothing is imported: a handle is known by its shape, and refused by it.
 */
import { waybillError } from "@waybill/core";
import { type KnexTransaction, knexTx } from "./adapters/knex.ts";
import { type Mysql2CallbackConnection, type Mysql2Connection, mysql2Tx } from "./adapters/mysql2.ts";
import { type PgClient, pgTx } from "./adapters/pg.ts";
import type { Tx } from "./tx.ts";

/** What can be joined: a pg client or mysql2 connection after BEGIN, a knex transaction, or any `Tx` of your own making. */
export type TransactionHandle = Tx | PgClient | Mysql2Connection | Mysql2CallbackConnection | KnexTransaction;

/**
 * The open transaction behind a handle. A `Tx` passes through as it is.
 *
 * What a pg client or knex tells is checked here and before each statement. MySQL tells only in answer to a statement, so a
 * mysql2 connection is asked before each one, at the cost of a round trip: outside a transaction the statement is refused, not this call.
 *
 * @throws WAYBILL_NOT_IN_TRANSACTION for a pool, a bare knex, a pg client outside a transaction (told from pg 8.23 on; an older
 *   driver does not say), a finished knex transaction, or anything else
 * @throws WAYBILL_UNIT_POISONED for a transaction in which a statement failed: PostgreSQL answers its COMMIT with a rollback, MySQL
 *   keeps a half. Of mysql2 only statements of ours are known
 * @throws WAYBILL_CONFIG_INVALID for knex on another database than PostgreSQL, MySQL or MariaDB
 */
export function toTx(handle: TransactionHandle): Tx {
  const unknown: unknown = handle;
  if ((typeof unknown === "object" && unknown !== null) || typeof unknown === "function") {
    const shape = unknown as Readonly<Record<string, unknown>>;
    if (typeof shape["unitOfWork"] === "function") throw ofOurs();
    // A connection of mysql2 with callbacks has a `raw` of its own.
    if (typeof shape["raw"] === "function" && typeof shape["execute"] !== "function") return knexTx(handle as KnexTransaction);
    // Whatever names a dialect is no driver's: one that we do not know must not be taken for a client of pg.
    const isForeign = shape["dialect"] !== undefined && shape["dialect"] !== "postgres" && shape["dialect"] !== "mysql";
    if (typeof shape["query"] === "function" && !isForeign) {
      // Connections and pools of mysql2 have both `execute` and `escapeId`, of pg neither, of the older mysql the latter.
      if (shape["dialect"] === "postgres" || shape["dialect"] === "mysql") return handle as Tx;
      if (typeof shape["execute"] === "function") return mysql2Tx(handle as Mysql2Connection);
      if (typeof shape["escapeId"] !== "function") return pgTx(handle as PgClient);
    }
  }
  throw waybillError(
    "WAYBILL_NOT_IN_TRANSACTION",
    "Pass your open transaction: a pg client or a mysql2 connection after BEGIN, a knex transaction, or an object with `dialect` and `query`.",
    { handle: "unknown" },
  );
}

function ofOurs(): Error {
  const message = "A database of ours commits each statement by itself: use database.unitOfWork(async (tx) => …) and pass tx.";
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "pool" });
}
