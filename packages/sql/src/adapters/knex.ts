import { isWaybillError, throwConfigProblems, waybillError } from "@waybill/core";
import { errnoOf, mayRepeatStatement, databaseError as mysqlError } from "../mysql/database-error.ts";
import { rowOptions } from "../mysql/owned-types.ts";
import { createPoison, type Poison, type SentStatement } from "../poison.ts";
import { checkSqlValues, withBuffers } from "../sql-value.ts";
import type { Dialect, Row, SqlValue, Tx } from "../tx.ts";
import { joinedError, poisonedError } from "./joined-error.ts";
import { askCharset, askStatus, checkCharset, checkEscapes, checkInTransaction, hasForeignText, statusIn } from "./mysql-status.ts";
import { checkQuestionMarks, toQuestionMarks } from "./question-marks.ts";

/**
 * `isCompleted` exists on a transaction only, so a bare knex does not fit.
 *
 * Prefer the handler form, `knex.transaction(async (trx) => …)`. An explicit `trx.commit()` resolves also when its connection died and nobody
 * knows whether it committed; only `executionPromise` rejects then: `await trx.commit(); await trx.executionPromise;`.
 */
export interface KnexTransaction {
  raw(sql: string, values: readonly SqlValue[]): PromiseLike<unknown>;
  isCompleted(): boolean;
  readonly executionPromise: Promise<unknown>;
}

/**
 * Transactions in which a statement of ours failed. knex resolves such a transaction as if it were committed when the error was swallowed:
 * PostgreSQL has rolled everything back then, MySQL a part. At least nothing further of ours may join it.
 */
const poisons = new WeakMap<KnexTransaction, Poison>();

/** Transactions on MySQL whose character set was looked at. */
const utf8 = new WeakSet<KnexTransaction>();

/** knex's names for what it speaks to. */
const dialects: Readonly<Record<string, Dialect>> = { postgresql: "postgres", mysql: "mysql" };

/**
 * A knex transaction, as a `Tx`. On PostgreSQL rows are parsed as the application has set it up; on MySQL as on our own connections, unless
 * `postProcessResponse` changes them.
 */
export function knexTx(transaction: KnexTransaction): Tx {
  const dialect = checkKnex(transaction);
  const poison = poisons.get(transaction) ?? createPoison();
  poisons.set(transaction, poison);
  const run = dialect === "postgres" ? runOnPostgres : runOnMysql;
  if (poison.error() !== null) throw poisonedError(dialect);
  return {
    dialect,
    async query(sql, values) {
      checkSqlValues(values);
      checkKnex(transaction);
      const statement = { sql, values };
      const blocking = poison.blocks(statement);
      if (blocking !== null) throw poisonedError(dialect, blocking);
      const rows = await run(transaction, statement, poison);
      poison.passed();
      return rows;
    },
  };
}

interface JoinedStatement extends SentStatement {
  readonly values: readonly SqlValue[];
}

async function runOnPostgres(transaction: KnexTransaction, statement: JoinedStatement, poison: Poison): Promise<readonly Row[]> {
  const rewritten = toQuestionMarks(statement.sql, statement.values);
  try {
    const answer = (await transaction.raw(rewritten.sql, withBuffers(rewritten.values))) as { readonly rows: readonly Row[] };
    return answer.rows;
  } catch (error) {
    const told = joinedError(error);
    poison.failed(statement, told, false);
    throw told;
  }
}

async function runOnMysql(transaction: KnexTransaction, statement: JoinedStatement, poison: Poison): Promise<readonly Row[]> {
  checkQuestionMarks(statement.sql, statement.values);
  try {
    const status = statusIn(await transaction.raw(askStatus, []));
    // An application's postProcessResponse may hide it: then knex's own word is all there is.
    if (status !== null) {
      checkInTransaction(status);
      checkEscapes(status);
    }
    if (hasForeignText(statement.values) && !utf8.has(transaction)) {
      checkCharset(await answerOf(transaction, askCharset, []));
      utf8.add(transaction);
    }
    const result = await answerOf(transaction, statement.sql, withBuffers(statement.values));
    return Array.isArray(result) ? (result as readonly Row[]) : [];
  } catch (error) {
    const told = isWaybillError(error) ? error : mysqlError("a statement in your transaction", error);
    poison.failed(statement, told, mayRepeatStatement({ errno: errnoOf(error) }));
    throw told;
  }
}

/** What the driver answers, parsed as on our own connections. */
async function answerOf(transaction: KnexTransaction, sql: string, values: readonly SqlValue[]): Promise<unknown> {
  const raw = transaction.raw(sql, values) as PromiseLike<unknown> & Partial<TakesOptions>;
  const [result] = (await (raw.options?.(rowOptions) ?? raw)) as readonly unknown[];
  return result;
}

/** A statement of knex that has not been sent yet hands these on to the driver. */
interface TakesOptions {
  options(options: object): PromiseLike<unknown>;
}

function checkKnex(transaction: KnexTransaction): Dialect {
  const knex = transaction as KnexTransaction & { readonly isTransaction?: boolean; readonly client?: { readonly dialect?: unknown } };
  if (knex.isTransaction !== true || typeof knex.isCompleted !== "function") {
    const message = "A bare knex runs each statement on some connection: use knex.transaction(async (trx) => …) and pass trx.";
    throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "knex" });
  }
  const name = knex.client?.dialect;
  const dialect = typeof name === "string" && Object.hasOwn(dialects, name) ? dialects[name] : undefined;
  if (dialect === undefined) {
    const problem = `knex runs on ${typeof name === "string" ? name : "an unknown database"}; transactions are joined on PostgreSQL, MySQL and MariaDB`;
    throwConfigProblems("The transaction", [{ option: "transaction", problem }]);
  }
  if (knex.isCompleted()) {
    const message = "This knex transaction is over: append before its handler returns, and before commit() or rollback().";
    throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "finished" });
  }
  return dialect as Dialect;
}
