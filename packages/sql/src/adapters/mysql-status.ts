/**
 * Whether somebody else's MySQL session is inside a transaction. The server says so in every OK packet, and the driver shows it in the
 * result of every statement but those that answer rows. So a statement that does nothing (`do 0`) is sent first: one short round trip
 * before each of ours. Without it a message would be kept whose business row was never written, or was rolled back – after a deadlock that
 * somebody swallowed the session goes on in autocommit.
 *
 * The round trip cannot be spared. The driver keeps no status, those that were seen are answers to others, and an error, which may end the
 * transaction, comes without one. The answer to our own insert would tell, but outside a transaction that is committed by then.
 */
import { throwConfigProblems, waybillError } from "@waybill/core";
import type { SqlValue } from "../tx.ts";

/** Does nothing, and is answered with an OK packet. */
export const askStatus = "do 0";

/** Which bytes the session takes for which text. One row. */
export const askCharset = "select @@character_set_client as charset";

const inTransaction = 0x0001;
const autocommit = 0x0002;
const noBackslashEscapes = 0x0200;

/** The status in the answer to `askStatus`, as `[result, fields]`. null if the answer was turned into something else on its way. */
export function statusIn(answer: unknown): number | null {
  const result: unknown = Array.isArray(answer) ? answer[0] : null;
  const status: unknown = typeof result === "object" && result !== null ? (result as { serverStatus?: unknown }).serverStatus : null;
  return typeof status === "number" ? status : null;
}

/** @throws WAYBILL_NOT_IN_TRANSACTION if the next statement would commit by itself. With `autocommit` off it would begin a transaction. */
export function checkInTransaction(status: number): void {
  if ((status & inTransaction) !== 0 || (status & autocommit) === 0) return;
  const message =
    "This MySQL connection is outside a transaction, each statement would commit by itself: begin one first. After a deadlock it is over, too: let the error out.";
  throw waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "autocommit" });
}

/** @throws WAYBILL_CONFIG_INVALID if values that are put into the text of a statement could end their quotes */
export function checkEscapes(status: number): void {
  if ((status & noBackslashEscapes) === 0) return;
  const problem = "has NO_BACKSLASH_ESCAPES, with which knex cannot send values safely; take it out of the session's sql_mode";
  throwConfigProblems("The transaction", [{ option: "sql_mode", problem }]);
}

/** Whether the bytes of these values hang on the session's character set: ASCII is the same in all that a client may have. */
export function hasForeignText(values: readonly SqlValue[]): boolean {
  return values.some((value) => typeof value === "string" && Buffer.byteLength(value) !== value.length);
}

/**
 * The driver writes text in the session's character set, and what that has no bytes for becomes something else without a word: a key or a
 * payload of another message.
 *
 * @throws WAYBILL_CONFIG_INVALID unless the answer to `askCharset` is the one that has bytes for every text
 */
export function checkCharset(rows: unknown): void {
  const row: unknown = Array.isArray(rows) ? rows[0] : null;
  const charset: unknown = typeof row === "object" && row !== null ? (row as { charset?: unknown }).charset : null;
  if (charset === "utf8mb4") return;
  const problem = `is ${typeof charset === "string" ? charset : "not to be seen"}, which cannot hold every text; connect with charset utf8mb4, the driver's default`;
  throwConfigProblems("The transaction", [{ option: "charset", problem }]);
}
