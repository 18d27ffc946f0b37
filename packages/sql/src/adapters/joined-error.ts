import { waybillError } from "@waybill/core";
import { databaseError, sqlStateOf } from "../postgres/database-error.ts";

/** The error of a transaction in which a statement failed before, ours or yours. */
export function poisonedError(cause?: Error): Error {
  const message = "An error poisoned this transaction: PostgreSQL would answer its COMMIT with a rollback. Roll back, and start again.";
  return waybillError("WAYBILL_UNIT_POISONED", message, { operation: "your transaction" }, cause);
}

/**
 * What a statement in somebody else's transaction failed with. 25P02 says that an earlier one had failed: a pg client learns its status only
 * a packet after the error, so that a statement can still slip past our check; PostgreSQL refuses it.
 */
export function joinedError(error: unknown): Error {
  const told = databaseError("a statement in your transaction", error);
  return sqlStateOf(error) === "25P02" ? poisonedError(told) : told;
}
