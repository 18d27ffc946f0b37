/**
 * An operator's change in a process of its own, that ends itself with -9 before its nth statement, or after its last one and before the COMMIT.
 * One argument: `OperatorChildOptions` as JSON. It tells its parent `operator.changed` if it was not ended.
 */
import { deleteSubscription, moveSubscription, pauseSubscription } from "@waybill/relay";
import { type Database, namespace, type OwnedTx, openDatabase } from "@waybill/sql";

export interface OperatorChildOptions {
  readonly url: string;
  readonly change: "move" | "pause" | "delete";
  /** It dies before this statement, from 1. */
  readonly beforeStatement: number;
}

const { url, change, beforeStatement } = JSON.parse(process.argv[2] ?? "{}") as OperatorChildOptions;
const database = openDatabase({ url });
let statements = 0;

/** The statement after the last is the COMMIT, which is none of ours: it is counted when the work has ended. */
const count = (): void => {
  statements += 1;
  if (statements === beforeStatement) process.kill(process.pid, "SIGKILL");
};

const mortal: Database = {
  ...database,
  unitOfWork: (work, options) =>
    database.unitOfWork(async (tx) => {
      const counted: OwnedTx = {
        ...tx,
        query: (...statement) => {
          count();
          return tx.query(...statement);
        },
        execute: (...statement) => {
          count();
          return tx.execute(...statement);
        },
      };
      const value = await work(counted);
      count();
      return value;
    }, options),
};

const space = namespace(database.dialect);
const by = { who: "ann", why: "as agreed" };
if (change === "move") await moveSubscription(mortal, space, {}, { id: 2n }, by);
else if (change === "pause") await pauseSubscription(mortal, space, {}, by);
else await deleteSubscription(mortal, space, {}, by);
process.stdout.write(`${JSON.stringify({ name: "operator.changed" })}\n`);
await database.close();
