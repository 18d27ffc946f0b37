import { type Namespace, tableOf } from "@waybill/sql";
import type { PurgeTable } from "../purge.ts";
import { keyValues } from "./key-values.ts";
import { bury, deliveriesLeft, findDueRows, postpone, removeAttempts, removeLog, removeNonces, removeOf } from "./statements/purge.ts";

/** What has served its time, on PostgreSQL. */
export function postgresPurgeTable(space: Namespace): PurgeTable {
  const halfMessages = tableOf(space, "half_message");
  const deliveries = tableOf(space, "delivery");
  const sql = {
    findDue: findDueRows(halfMessages),
    deliveriesLeft: deliveriesLeft(deliveries),
    removeAttempts: removeAttempts(tableOf(space, "delivery_attempt"), deliveries),
    removeDeliveries: removeOf(deliveries),
    removeBodies: removeOf(tableOf(space, "half_message_body")),
    removeRows: removeOf(halfMessages),
    bury: bury(halfMessages),
    postpone: postpone(halfMessages),
    removeLog: removeLog(tableOf(space, "decision_log")),
    removeNonces: removeNonces(tableOf(space, "nonce")),
  };
  return {
    async findDue(tx, rowsMax) {
      const rows = await tx.query(sql.findDue, [rowsMax]);
      return rows.map((row) => ({ producer: row.producer as string, id: row.id as string, isTombstone: row.is_tombstone === true }));
    },
    async deliveriesLeft(tx, keys) {
      const rows = await tx.query(sql.deliveriesLeft, [keyValues(keys)]);
      return rows.map((row) => {
        const deadForMs = row.dead_for_ms === null ? null : Number(row.dead_for_ms);
        return { producer: row.producer as string, id: row.id as string, isOpen: row.is_open === true, deadForMs };
      });
    },
    async removeContent(tx, keys) {
      const which = [keyValues(keys)];
      await tx.execute(sql.removeAttempts, which);
      await tx.execute(sql.removeDeliveries, which);
      await tx.execute(sql.removeBodies, which);
    },
    async bury(tx, keys, tombstoneMs) {
      await tx.execute(sql.bury, [keyValues(keys), tombstoneMs]);
    },
    async postpone(tx, { producer, id }, byMs) {
      await tx.execute(sql.postpone, [producer, id, byMs]);
    },
    async removeRows(tx, keys) {
      await tx.execute(sql.removeRows, [keyValues(keys)]);
    },
    removeLog: (tx, olderThanMs, rowsMax) => tx.execute(sql.removeLog, [olderThanMs, rowsMax]),
    removeNonces: (tx, rowsMax) => tx.execute(sql.removeNonces, [rowsMax]),
  };
}
