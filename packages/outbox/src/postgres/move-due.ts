/** Moving delayed messages on PostgreSQL: their payloads never leave the server. What is hard is told in `delayed-messages.ts`. */
import type { Row } from "@waybill/sql";
import type { Moving } from "../delayed-messages.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { limitIdleTime } from "./statements/limit-idle-time.ts";
import { lockDelayed } from "./statements/lock-delayed.ts";
import { lockStream } from "./statements/lock-stream.ts";
import { moveDelayed } from "./statements/move-delayed.ts";
import { readCommitted } from "./statements/read-committed.ts";
import { readDue } from "./statements/read-due.ts";
import { readNextDue } from "./statements/read-next-due.ts";
import { tryKeyLocks } from "./statements/try-key-locks.ts";

export function postgresMoving({ outbox, delayed, stream: streams }: LedgerTables, stream: string): Moving {
  const textsOf = (rows: readonly Row[], column: string): ReadonlySet<string> => new Set(rows.map((row) => String(row[column])));
  return {
    untilDueMs: async (connection, deadlineMs) => {
      const [row] = (await connection.query(readNextDue(delayed), [], { deadlineMs })) as readonly { in_ms: string }[];
      return row === undefined ? null : Number(row.in_ms);
    },
    lockStream: async (tx) => {
      await tx.execute(readCommitted, []);
      return (await tx.query(lockStream(streams), [stream])).length > 0;
    },
    readDue: async (tx, { locks, ids }, messagesMax) => {
      const rows = (await tx.query(readDue(delayed), [locks, ids, String(messagesMax)])) as readonly {
        id: string;
        lock: string | null;
        bytes: number;
        late_ms: string;
      }[];
      return rows.map(({ id, lock, bytes, late_ms: lateMs }) => ({ id, lock, bytes, lateMs: Number(lateMs) }));
    },
    tryLocks: async (tx, locks) => {
      await tx.query(limitIdleTime, []);
      return textsOf(await tx.query(tryKeyLocks, [locks]), "lock");
    },
    tryMessages: async (tx, ids) => textsOf(await tx.query(lockDelayed(delayed), [ids]), "id"),
    move: (tx, ids) => tx.execute(moveDelayed(delayed, outbox), [ids]),
  };
}
