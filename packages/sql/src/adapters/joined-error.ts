import { waybillError } from "@waybill/core";
import { databaseError, sqlStateOf } from "../postgres/database-error.ts";
import type { Dialect } from "../tx.ts";

/** What a COMMIT would do, on each. */
const consequence = {
  postgres: "PostgreSQL would answer its COMMIT with a rollback",
  mysql: "MySQL has undone a part of it, and its COMMIT would keep the rest",
} as const;

/** The error of a transaction in which a statement failed before, ours or yours. */
export function poisonedError(dialect: Dialect, cause?: Error): Error {
  const message = `An error poisoned this transaction: ${consequence[dialect]}. Roll back, and start again.`;
  return waybillError("WAYBILL_UNIT_POISONED", message, { operation: "your transaction" }, cause);
}

/**
 * What a statement in somebody else's transaction on PostgreSQL failed with. 25P02 says that an earlier one had failed: a pg client learns its
 * status only a packet after the error, so that a statement can still slip past our check; PostgreSQL refuses it.
 */
export function joinedError(error: unknown): Error {
  const told = databaseError("a statement in your transaction", error);
  return sqlStateOf(error) === "25P02" ? poisonedError("postgres", told) : told;
}
