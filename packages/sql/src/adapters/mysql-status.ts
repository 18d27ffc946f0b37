/**
 * Whether somebody else's MySQL session is inside a transaction. The server says so in every OK packet, and the driver shows it in the
 * result of every statement but those that answer rows. So a statement that does nothing (`do 0`) is sent first: one short round trip
 * before each of ours. Without it a message would be kept whose business row was never written, or was rolled back – after a deadlock that
 * somebody swallowed the session goes on in autocommit.
 */
import { throwConfigProblems, waybillError } from "@waybill/core";

/** Does nothing, and is answered with an OK packet. */
export const askStatus = "do 0";

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
