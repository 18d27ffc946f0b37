import type { Namespace } from "@waybill/sql";
import { mysqlOperatorRow } from "./mysql/operator-row.ts";
import type { OperatorRow } from "./operator-row.ts";
import { postgresOperatorRow } from "./postgres/operator-row.ts";

/** What operators do to one subscription. `stream` and `subscription` are checked names. Opens nothing. */
export function createOperatorRow(space: Namespace, stream: string, subscription: string): OperatorRow {
  return space.dialect === "postgres" ? postgresOperatorRow(space, stream, subscription) : mysqlOperatorRow(space, stream, subscription);
}
