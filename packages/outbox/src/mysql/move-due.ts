/**
 * Moving delayed messages on MySQL and MariaDB. What is hard is told in `delayed-messages.ts`.
 *
 * Payloads come here and go back: `insert … select` takes ids in blocks whose rest nobody uses, each of them a hole that has to be fenced, and
 * where `innodb_autoinc_lock_mode` is 1 it keeps every writer waiting. What `append` sends takes as many ids as there are rows, and repeats
 * itself where a relay has fenced one.
 */
import type { Row } from "@waybill/sql";
import type { Moving } from "../delayed-messages.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { mysqlAppending } from "./append.ts";
import { lockDelayed } from "./statements/lock-delayed.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { readDelayed } from "./statements/read-delayed.ts";
import { readDue } from "./statements/read-due.ts";
import { readNextDue } from "./statements/read-next-due.ts";
import { removeDelayed } from "./statements/remove-delayed.ts";
import { tryKeyLocks } from "./statements/try-key-locks.ts";

interface DelayedRow {
  readonly message_id: string;
  readonly type: string;
  readonly topic: string;
  readonly key: string | null;
  readonly headers: string | null;
  readonly payload: string | null;
  readonly payload_bytes: Uint8Array | null;
}

export function mysqlMoving(tables: LedgerTables, stream: string): Moving {
  const { delayed, keyLocks, stream: streams } = tables;
  const { appendStored } = mysqlAppending(tables);
  const idsOf = (rows: readonly Row[]): ReadonlySet<string> => new Set(rows.map((row) => String(row["id"])));
  return {
    untilDueMs: async (connection, deadlineMs) => {
      const [row] = (await connection.query(readNextDue(delayed), [], { deadlineMs })) as readonly { in_ms: string | null }[];
      // Without a number it is a zero date, which was due before all others.
      return row === undefined ? null : Number(row.in_ms ?? 0);
    },
    lockStream: async (tx) => (await tx.query(lockStream(streams), [stream])).length > 0,
    readDue: async (tx, { locks, ids }, messagesMax) => {
      const rows = (await tx.query(readDue(delayed, locks.map(BigInt), ids.map(BigInt)), [messagesMax])) as readonly {
        id: string;
        lock: string | number | null;
        bytes: string | number;
        late_ms: string | null;
      }[];
      return rows.map(({ id, lock, bytes, late_ms: lateMs }) => ({
        id,
        lock: lock === null ? null : String(lock),
        bytes: Number(bytes),
        lateMs: Number(lateMs ?? 0),
      }));
    },
    tryLocks: async (tx, locks) => idsOf(await tx.query(tryKeyLocks(keyLocks, locks.map(BigInt)), [])),
    tryMessages: async (tx, ids) => idsOf(await tx.query(lockDelayed(delayed, ids.map(BigInt)), [])),
    move: async (tx, ids) => {
      const rows = (await tx.query(readDelayed(delayed, ids.map(BigInt)), [])) as unknown as readonly DelayedRow[];
      const messages = rows.map(({ message_id: messageId, payload_bytes: payloadBytes, type, topic, key, headers, payload }) => {
        return { messageId, type, topic, key, headers, payload, payloadBytes, fingerprint: null };
      });
      await appendStored(tx, messages);
      return tx.execute(removeDelayed(delayed, ids.map(BigInt)), []);
    },
  };
}
