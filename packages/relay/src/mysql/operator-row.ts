import { outboxName } from "@waybill/outbox";
import { type Namespace, tableOf } from "@waybill/sql";
import { type OperatorRow, standingOf } from "../operator-row.ts";
import { changeState } from "./statements/change-state.ts";
import { deleteSubscription } from "./statements/delete-subscription.ts";
import { forgetRemoved } from "./statements/forget-removed.ts";
import { insertSubscription } from "./statements/insert-subscription.ts";
import { lockForOperator } from "./statements/lock-for-operator.ts";
import { lockLedger } from "./statements/lock-ledger.ts";
import { moveCursor } from "./statements/move-cursor.ts";

/** What operators do to the row of one subscription, on MySQL or MariaDB. `stream` and `subscription` are checked names. */
export function mysqlOperatorRow(space: Namespace, stream: string, subscription: string): OperatorRow {
  const table = tableOf(space, "subscription");
  const streams = tableOf(space, "stream");
  const outbox = tableOf(space, outboxName(stream));
  const name = [stream, subscription] as const;
  return {
    async lockLedger(tx) {
      const [row] = await tx.query(lockLedger(streams, outbox), [stream]);
      return row === undefined ? null : { removedTo: BigInt(String(row["removed_to"])), highestId: BigInt(String(row["highest_id"])) };
    },
    async forgetRemoved(tx) {
      await tx.execute(forgetRemoved(streams), [stream]);
    },
    async lock(tx) {
      const [row] = await tx.query(lockForOperator(table), [...name]);
      return row === undefined ? null : standingOf(row);
    },
    async insert(tx, lastId) {
      await tx.execute(insertSubscription(table), [...name, String(lastId)]);
    },
    async changeState(tx, state) {
      await tx.execute(changeState(table), [state, ...name]);
    },
    async move(tx, { lastId, state, isAnotherLedger }) {
      await tx.execute(moveCursor(table), [
        String(lastId),
        state,
        ...[isAnotherLedger, isAnotherLedger, isAnotherLedger].map(Number),
        ...name,
      ]);
    },
    async remove(tx) {
      await tx.execute(deleteSubscription(table), [...name]);
    },
  };
}
