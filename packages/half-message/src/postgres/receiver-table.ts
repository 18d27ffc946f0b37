import type { Identifier } from "@waybill/sql";
import type { ReceiverStore } from "../receiver-store.ts";
import { toReceiver } from "../to-receiver.ts";
import { listReceivers } from "./statements/receiver-list.ts";
import { logReceiver } from "./statements/receiver-log.ts";
import { putReceiver } from "./statements/receiver-put.ts";
import { readReceivers } from "./statements/receiver-read.ts";
import { removeReceiver } from "./statements/receiver-remove.ts";
import { setReceiverFailing } from "./statements/receiver-set-failing.ts";
import { setReceiverState } from "./statements/receiver-set-state.ts";

/** Receivers on PostgreSQL. */
export function postgresReceiverTable(receivers: Identifier, log: Identifier): ReceiverStore {
  return {
    async find(statements, names) {
      return names.length === 0 ? [] : (await statements.query(readReceivers(receivers), [names])).map(toReceiver);
    },
    async list(statements, after, limit) {
      return (await statements.query(listReceivers(receivers), [after, limit])).map(toReceiver);
    },
    async put(tx, name, { url, secret, schedule, success }, actor) {
      const values = [url, JSON.stringify(secret), JSON.stringify(schedule), JSON.stringify(success)];
      await tx.execute(putReceiver(receivers), [name, ...values, actor]);
    },
    async remove(tx, name) {
      return (await tx.execute(removeReceiver(receivers), [name])) === 1;
    },
    async setState(tx, name, state, reason, actor, version) {
      return (await tx.execute(setReceiverState(receivers), [name, state, reason, actor, version])) === 1;
    },
    async setFailing(tx, name, isFailing, version) {
      await tx.execute(setReceiverFailing(receivers), [name, isFailing ? 1 : 0, version]);
    },
    async log(tx, name, event, actor, reason) {
      await tx.execute(logReceiver(log), [name, event, actor, reason]);
    },
  };
}
