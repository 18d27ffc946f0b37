import { throwConfigProblems, waybillError } from "@waybill/core";
import { checkSqlValues, withBuffers } from "../sql-value.ts";
import type { Row, SqlValue, Tx } from "../tx.ts";
import { joinedError, poisonedError } from "./joined-error.ts";
import { toQuestionMarks } from "./question-marks.ts";

/** `isCompleted` exists on a transaction only, so a bare knex does not fit. */
export interface KnexTransaction {
  raw(sql: string, values: readonly SqlValue[]): PromiseLike<unknown>;
  isCompleted(): boolean;
}

/**
 * Transactions in which a statement of ours failed. knex resolves such a transaction as if it were committed when the error was
 * swallowed, though PostgreSQL rolled everything back: at least nothing further of ours may join it.
 */
const poisoned = new WeakSet<KnexTransaction>();

/** A knex transaction, as a `Tx`. Rows are parsed as the application has set it up. */
export function knexTx(transaction: KnexTransaction): Tx {
  checkOpen(transaction);
  return {
    dialect: "postgres",
    async query(sql, values) {
      checkSqlValues(values);
      checkOpen(transaction);
      const rewritten = toQuestionMarks(sql, values);
      try {
        const answer = (await transaction.raw(rewritten.sql, withBuffers(rewritten.values))) as { readonly rows: readonly Row[] };
        return answer.rows;
      } catch (error) {
        poisoned.add(transaction);
        throw joinedError(error);
      }
    },
  };
}

function checkOpen(transaction: KnexTransaction): void {
  const knex = transaction as KnexTransaction & { readonly isTransaction?: boolean; readonly client?: { readonly dialect?: unknown } };
  if (knex.isTransaction !== true || typeof knex.isCompleted !== "function") {
    const message = "A bare knex runs each statement on some connection: use knex.transaction(async (trx) => …) and pass trx.";
    throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "knex" });
  }
  const dialect = knex.client?.dialect;
  if (dialect !== "postgresql") {
    const problem = `knex runs on ${typeof dialect === "string" ? dialect : "an unknown database"}; this version joins transactions on PostgreSQL only`;
    throwConfigProblems("The transaction", [{ option: "transaction", problem }]);
  }
  if (knex.isCompleted()) {
    const message = "This knex transaction is over: append before its handler returns, and before commit() or rollback().";
    throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "finished" });
  }
  if (poisoned.has(transaction)) throw poisonedError();
}
