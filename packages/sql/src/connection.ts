import type { Clock, OnEvent, Random } from "@waybill/core";
import type { Connection, StatementOptions } from "./database.ts";
import { deadlineError } from "./deadline-error.ts";
import { checkName } from "./identifier.ts";
import type { Session } from "./session.ts";
import { executeStatement, readStatement, runStatement, runTextStatement } from "./statements.ts";
import { createUnits } from "./units.ts";

/** How long a polite goodbye may take. */
const closeDeadlineMs = 1_000;

export interface ConnectionOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent?: OnEvent | undefined;
  readonly statementDeadlineMs: number;
  readonly beginDeadlineMs: number;
}

/** A session as a `Connection`: callers take turns, in the order in which they came. */
export function createConnection(session: Session, options: ConnectionOptions): Connection {
  const { clock, statementDeadlineMs } = options;
  const turns = takeTurns(clock);

  const inTurn = async <T>(statement: StatementOptions, run: (deadlineMs: number) => Promise<T>): Promise<T> => {
    const deadlineMs = statement.deadlineMs ?? statementDeadlineMs;
    const fromMs = clock.monotonicMs();
    const done = await turns(deadlineMs);
    try {
      return await run(Math.max(1, deadlineMs - (clock.monotonicMs() - fromMs)));
    } finally {
      done();
    }
  };

  const units = createUnits({
    ...options,
    borrow: async (deadlineMs) => {
      const giveBack = await turns(deadlineMs);
      return { session, isReused: false, giveBack };
    },
  });

  return {
    isPooled: session.isPooled,
    hasBinaryRows: session.hasBinaryRows,
    lost: session.lost,
    query: (sql, values, statement = {}) => inTurn(statement, (deadlineMs) => runStatement(session, sql, values, statement, deadlineMs)),
    queryText: (sql, values, statement = {}) =>
      inTurn(statement, (deadlineMs) => runTextStatement(session, sql, values, statement, deadlineMs)),
    readRows: (sql, values, read, statement = {}) =>
      inTurn(statement, (deadlineMs) => readStatement(session, sql, values, read, statement, deadlineMs)),
    execute: (sql, values, statement = {}) =>
      inTurn(statement, (deadlineMs) => executeStatement(session, sql, values, statement, deadlineMs)),
    unitOfWork: (work, unit) => units.unitOfWork(work, unit),
    async listen(channel, onNotified) {
      const name = checkName("channel", channel);
      if (!session.onNotified(onNotified)) return false;
      await inTurn({}, (deadlineMs) => runStatement(session, `listen "${name}"`, [], {}, deadlineMs));
      return true;
    },
    close: () => session.end(closeDeadlineMs),
  };
}

/** Callers in line beyond this are refused at once: whoever comes later would wait in vain. */
const waitingMax = 1_000;

/** First come, first served; each waits no longer than its deadline. Answers a function that ends the turn. */
function takeTurns(clock: Clock): (deadlineMs: number) => Promise<() => void> {
  let isTaken = false;
  const waiting: (() => void)[] = [];
  const done = (): void => {
    const next = waiting.shift();
    if (next === undefined) isTaken = false;
    else next();
  };
  return (deadlineMs) => {
    if (!isTaken) {
      isTaken = true;
      return Promise.resolve(done);
    }
    if (waiting.length >= waitingMax) return Promise.reject(deadlineError("the connection's turn", 0));
    return new Promise((resolve, reject) => {
      const timer = clock.setTimer(deadlineMs, () => {
        waiting.splice(waiting.indexOf(start), 1);
        reject(deadlineError("the connection's turn", deadlineMs));
      });
      const start = (): void => {
        timer.cancel();
        resolve(done);
      };
      waiting.push(start);
    });
  };
}
