/**
 * What an error tells about a fence. None of them ever means "rolled back": whatever is not proven is pending, and asked again.
 *
 * | kind | PostgreSQL | MySQL, MariaDB | then |
 * |---|---|---|---|
 * | held | 55P03 | 1205, 3572 | an open transaction holds the row: pending |
 * | present | – | 1062 | somebody was first: read whose fate it is |
 * | deadlock | 40P01 | 1213 | once more from the start: of several fences that wait for one transaction all but one die when it rolls back |
 * | passing | 40001 57014 57P0x 25006 08xxx 53xxx, connection lost | 1290 1836 1317 and the like, connection lost | pending: a failover, a standby, a limit |
 * | broken | any other | any other | pending, and somebody is told: a table, the identity or a right is missing |
 */
import { isWaybillError } from "@waybill/core";

export type SettleFailure =
  | { readonly kind: "held" | "present" | "deadlock" | "passing" }
  /** `code`: SQLSTATE or number of the database's error, or the code of ours. */
  | { readonly kind: "broken"; readonly code: string };

const byCode: Readonly<Record<string, "held" | "present" | "deadlock">> = {
  "55P03": "held",
  "1205": "held",
  "3572": "held",
  "1062": "present",
  "40P01": "deadlock",
  "1213": "deadlock",
};

export function settleFailure(error: unknown): SettleFailure {
  if (isWaybillError(error, "WAYBILL_DEADLINE")) return { kind: "passing" };
  if (!isWaybillError(error, "WAYBILL_DATABASE")) return { kind: "broken", code: isWaybillError(error) ? error.code : "UNKNOWN" };
  const { errno, sqlState, isTransient } = error.facts;
  // On MySQL the number says more than the state: a deadlock has there that of a serialization failure.
  const code = errno === null ? sqlState : String(errno);
  const kind = code === null ? undefined : byCode[code];
  if (kind !== undefined) return { kind };
  return isTransient ? { kind: "passing" } : { kind: "broken", code: code ?? "CONNECTION" };
}
