/** Messages that are not confirmed, on PostgreSQL. What is hard is told in `confirmations.ts` above. */

import { committedValue, type OwnedTx } from "@waybill/sql";
import { dueConfirmation, lockedCopies, measuredConfirmations } from "../confirmation-rows.ts";
import type { Confirming, MeasuredConfirmations, Unconfirmed } from "../confirmations.ts";
import type { LedgerTables } from "../ledger-tables.ts";
import { postgresAppending } from "./append.ts";
import { limitStatementTime } from "./statements/limit-statement-time.ts";
import { lockUnconfirmed } from "./statements/lock-unconfirmed.ts";
import { measureUnconfirmed } from "./statements/measure-unconfirmed.ts";
import { postponeUnconfirmed } from "./statements/postpone-unconfirmed.ts";
import { readCommitted } from "./statements/read-committed.ts";
import { readNextUnconfirmed } from "./statements/read-next-unconfirmed.ts";
import { readUnconfirmed } from "./statements/read-unconfirmed.ts";
import { removeUnconfirmed } from "./statements/remove-unconfirmed.ts";

export function postgresConfirming(tables: LedgerTables, stream: string): Confirming {
  const { confirmations } = tables;
  const { appendStored } = postgresAppending(tables);
  return {
    untilDueMs: async (connection, deadlineMs) => {
      const [row] = await connection.query(readNextUnconfirmed(confirmations), [stream], { deadlineMs });
      return row === undefined ? null : Number(row["in_ms"]);
    },
    measure: async (connection, rowsMax, { limitMs, deadlineMs }) => {
      const operation = "counting messages that are not confirmed";
      const count = async (tx: OwnedTx): Promise<MeasuredConfirmations> => {
        await tx.query(limitStatementTime, [String(limitMs)]);
        const [row] = await tx.query(measureUnconfirmed(confirmations), [stream, String(rowsMax)]);
        return measuredConfirmations(row ?? {});
      };
      return committedValue(operation, await connection.unitOfWork(count, { operation, deadlineMs }));
    },
    lockDue: async (tx, rowsMax) => {
      await tx.execute(readCommitted, []);
      return (await tx.query(lockUnconfirmed(confirmations), [stream, String(rowsMax)])).map(dueConfirmation);
    },
    read: async (tx, ids) => lockedCopies(ids, await tx.query(readUnconfirmed(confirmations), [ids])),
    append: appendStored,
    postpone: (tx, locked, waitMsMax) => tx.execute(postponeUnconfirmed(confirmations), [...pairsOf(locked), waitMsMax]),
    remove: (tx, locked) => tx.execute(removeUnconfirmed(confirmations), [...pairsOf(locked)]),
  };
}

function pairsOf(locked: readonly Unconfirmed[]): readonly [string[], string[]] {
  return [locked.map(({ messageId }) => messageId), locked.map(({ consumer }) => consumer)];
}
