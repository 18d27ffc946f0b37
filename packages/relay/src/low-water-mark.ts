/** Below the low-water mark of a stream no subscription needs a row any more: retention goes by it. */
import { type Namespace, type Statements, tableOf } from "@waybill/sql";
import { readLowWaterMark as readOnMysql } from "./mysql/statements/read-low-water-mark.ts";
import { readLowWaterMark as readOnPostgres } from "./postgres/statements/read-low-water-mark.ts";

/** The mark, and the subscription that holds it back. */
export interface LowWaterMark {
  /** The lowest id that is still needed, or will be. */
  readonly id: bigint;
  readonly subscription: string;
  readonly state: "active" | "paused" | "stopped";
  /** True if a relay runs that subscription now. */
  readonly isHeld: boolean;
}

/** The mark over all subscriptions of a stream, whatever their state; null: there is none, and nothing may go. */
export async function readLowWaterMark(
  statements: Pick<Statements, "query">,
  space: Namespace,
  stream: string,
): Promise<LowWaterMark | null> {
  const table = tableOf(space, "subscription");
  const [row] = await statements.query(space.dialect === "postgres" ? readOnPostgres(table) : readOnMysql(table), [stream]);
  if (row === undefined) return null;
  return {
    id: BigInt(String(row["low"])),
    subscription: String(row["subscription"]),
    state: row["state"] as LowWaterMark["state"],
    isHeld: row["is_held"] === true || Number(row["is_held"]) === 1,
  };
}
