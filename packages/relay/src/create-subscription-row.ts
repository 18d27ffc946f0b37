import type { Namespace } from "@waybill/sql";
import { mysqlSubscriptionRow } from "./mysql/subscription-row.ts";
import { postgresSubscriptionRow } from "./postgres/subscription-row.ts";
import type { SubscriptionRow } from "./subscriptions.ts";

/** The row of one subscription. `stream` and `subscription` are checked names. Opens nothing. */
export function createSubscriptionRow(space: Namespace, stream: string, subscription: string): SubscriptionRow {
  return space.dialect === "postgres"
    ? postgresSubscriptionRow(space, stream, subscription)
    : mysqlSubscriptionRow(space, stream, subscription);
}
