import { type Namespace, tableOf } from "@waybill/sql";
import type { PurgeTable } from "../purge.ts";
import { keyValues } from "./key-values.ts";
import {
  bury,
  deliveriesLeft,
  findDueRows,
  findOldLog,
  postpone,
  removeAttempts,
  removeLog,
  removeNonces,
  removeOf,
} from "./statements/purge.ts";

/** What has served its time, on MySQL and MariaDB. */
export function mysqlPurgeTable(space: Namespace): PurgeTable {
  const halfMessages = tableOf(space, "half_message");
  const bodies = tableOf(space, "half_message_body");
  const deliveries = tableOf(space, "delivery");
  const attempts = tableOf(space, "delivery_attempt");
  const log = tableOf(space, "decision_log");
  const nonces = tableOf(space, "nonce");
  return {
    async findDue(tx, rowsMax) {
      const rows = await tx.query(findDueRows(halfMessages), [rowsMax]);
      return rows.map((row) => ({ producer: row.producer as string, id: row.id as string, isTombstone: Number(row.is_tombstone) === 1 }));
    },
    async deliveriesLeft(tx, keys) {
      const rows = await tx.query(deliveriesLeft(deliveries, keys.length), keyValues(keys));
      return rows.map((row) => {
        const deadForMs = row.dead_for_ms === null ? null : Number(row.dead_for_ms);
        return { producer: row.producer as string, id: row.id as string, isOpen: Number(row.is_open) === 1, deadForMs };
      });
    },
    async removeContent(tx, keys) {
      await tx.execute(removeAttempts(attempts, deliveries, keys.length), keyValues(keys));
      await tx.execute(removeOf(deliveries, keys.length), keyValues(keys));
      await tx.execute(removeOf(bodies, keys.length), keyValues(keys));
    },
    async bury(tx, keys, tombstoneMs) {
      await tx.execute(bury(halfMessages, keys.length), [tombstoneMs, ...keyValues(keys)]);
    },
    async postpone(tx, { producer, id }, byMs) {
      await tx.execute(postpone(halfMessages), [byMs, producer, id]);
    },
    async removeRows(tx, keys) {
      await tx.execute(removeOf(halfMessages, keys.length), keyValues(keys));
    },
    async removeLog(tx, olderThanMs, rowsMax) {
      const old = await tx.query(findOldLog(log), [rowsMax, olderThanMs]);
      const last = old.at(-1);
      return last === undefined ? 0 : tx.execute(removeLog(log), [String(last.seq), olderThanMs]);
    },
    removeNonces: (tx, rowsMax) => tx.execute(removeNonces(nonces), [rowsMax]),
  };
}
