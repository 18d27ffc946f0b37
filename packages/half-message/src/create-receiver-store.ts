import { type Namespace, tableOf } from "@waybill/sql";
import { mysqlReceiverTable } from "./mysql/receiver-table.ts";
import { postgresReceiverTable } from "./postgres/receiver-table.ts";
import type { ReceiverStore } from "./receiver-store.ts";

/** Receivers in their table. */
export function createReceiverStore(space: Namespace): ReceiverStore {
  const receivers = tableOf(space, "receiver");
  const log = tableOf(space, "decision_log");
  return space.dialect === "mysql" ? mysqlReceiverTable(receivers, log) : postgresReceiverTable(receivers, log);
}
