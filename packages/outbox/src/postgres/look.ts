import { waybillError } from "@waybill/core";
import type { Row } from "@waybill/sql";
import type { Look } from "./hole-proof.ts";

/**
 * The row of `statements/look-for-writers.ts`.
 *
 * @throws WAYBILL_READ_ONLY on a standby, whose locks say nothing about writers
 */
export function parseLook(rows: readonly Row[]): Look {
  const [row] = rows as readonly { is_standby: string; highest_id: string; live: string; prepared: string }[];
  if (row === undefined || row.is_standby !== "false") {
    throw waybillError("WAYBILL_READ_ONLY", "This server is a standby, which knows no writers: connect to the primary.", {
      found: "standby",
    });
  }
  return { highestId: BigInt(row.highest_id), live: transactions(row.live), prepared: transactions(row.prepared) };
}

function transactions(list: string): ReadonlySet<string> {
  return new Set(list === "" ? [] : list.split(" "));
}
