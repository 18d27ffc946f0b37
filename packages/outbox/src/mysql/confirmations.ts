/** Messages that are not confirmed, on MySQL and MariaDB. What is hard is told in `confirmations.ts` above. */

import { dueConfirmation, lockedCopies, measuredConfirmations } from "../confirmation-rows.ts";
import type { Confirming } from "../confirmations.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { mysqlAppending } from "./append.ts";
import { lockUnconfirmed } from "./statements/lock-unconfirmed.ts";
import { measureUnconfirmed } from "./statements/measure-unconfirmed.ts";
import { postponeUnconfirmed } from "./statements/postpone-unconfirmed.ts";
import { readNextUnconfirmed } from "./statements/read-next-unconfirmed.ts";
import { readUnconfirmed } from "./statements/read-unconfirmed.ts";
import { removeUnconfirmed } from "./statements/remove-unconfirmed.ts";

export function mysqlConfirming(tables: LedgerTables, stream: string): Confirming {
  const { confirmations } = tables;
  const { appendStored } = mysqlAppending(tables);
  return {
    untilDueMs: async (connection, deadlineMs) => {
      const [row] = await connection.query(readNextUnconfirmed(confirmations), [stream], { deadlineMs });
      return row === undefined ? null : Number(row["in_ms"] ?? 0);
    },
    measure: async (connection, rowsMax, { limitMs, deadlineMs }) => {
      const [row] = await connection.query(measureUnconfirmed(confirmations, limitMs), [stream, rowsMax], { deadlineMs });
      return measuredConfirmations(row ?? {});
    },
    lockDue: async (tx, rowsMax) => (await tx.query(lockUnconfirmed(confirmations), [stream, rowsMax])).map(dueConfirmation),
    read: async (tx, ids) => lockedCopies(ids, await tx.query(readUnconfirmed(confirmations, ids.length), ids)),
    append: appendStored,
    // One by one: a statement about many may look at, and wait for, rows in between that somebody else has.
    async postpone(tx, locked, waitMsMax) {
      for (const { messageId, consumer } of locked) await tx.execute(postponeUnconfirmed(confirmations), [waitMsMax, messageId, consumer]);
    },
    async remove(tx, locked) {
      for (const { messageId, consumer } of locked) await tx.execute(removeUnconfirmed(confirmations), [messageId, consumer]);
    },
  };
}
