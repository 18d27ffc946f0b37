/**
 * A `Database` over the sessions of one dialect: a pool for short work, dedicated connections beside it, and one way to close them all.
 */
import { type Clock, type ConfigProblem, type OnEvent, systemClock, systemRandom, throwConfigProblems } from "@waybill/core";
import { createConnection } from "./connection.ts";
import type { Database, StatementOptions } from "./database.ts";
import type { DatabaseOptions } from "./open-database.ts";
import { closedError, createPool } from "./pool.ts";
import type { Session } from "./session.ts";
import { executeStatement, runStatement, runTextStatement } from "./statements.ts";
import type { Dialect } from "./tx.ts";
import { createUnits, unitDeadlineMs } from "./units.ts";

const closeDeadlineMs = 5_000;

/** What a dialect needs to know of a session that is to be opened. */
export interface SessionRequest {
  /** What the server shows. */
  readonly applicationName: string;
  /** The longest wait that is usual on this session; the server is told to end what takes longer. */
  readonly usualDeadlineMs: number;
  readonly clock: Clock;
  readonly onEvent?: OnEvent | undefined;
}

export type OpenSession = (request: SessionRequest, deadlineMs: number) => Promise<Session>;

export function createDatabase(dialect: Dialect, options: DatabaseOptions, openSession: OpenSession): Database {
  const { clock = systemClock, random = systemRandom, onEvent, applicationName = "waybill" } = options;
  const { connections = 2, statementDeadlineMs = 10_000, connectDeadlineMs = 5_000 } = options;
  throwConfigProblems("The database", [
    ...wholeNumber("connections", connections, 100),
    ...wholeNumber("statementDeadlineMs", statementDeadlineMs, 86_400_000),
    ...wholeNumber("connectDeadlineMs", connectDeadlineMs, 600_000),
  ]);

  // What is usual is told to the server when a session opens, so that neither a statement nor a unit pays for telling it later.
  const usualDeadlineMs = Math.max(statementDeadlineMs, unitDeadlineMs);
  const open = (name: string, deadlineMs: number): Promise<Session> =>
    openSession({ applicationName: name.slice(0, 63), usualDeadlineMs, clock, onEvent }, deadlineMs);
  const pool = createPool({ clock, sessionsMax: connections, connectDeadlineMs, open: (deadlineMs) => open(applicationName, deadlineMs) });
  const dedicated = new Set<Session>();
  let closing: Promise<void> | null = null;

  const lend = async <T>(statement: StatementOptions, run: (session: Session, deadlineMs: number) => Promise<T>): Promise<T> => {
    const deadlineMs = statement.deadlineMs ?? statementDeadlineMs;
    const fromMs = clock.monotonicMs();
    const { session } = await pool.acquire(deadlineMs);
    try {
      return await run(session, Math.max(1, deadlineMs - (clock.monotonicMs() - fromMs)));
    } finally {
      pool.release(session);
    }
  };
  const units = createUnits({
    clock,
    random,
    onEvent,
    beginDeadlineMs: connectDeadlineMs,
    borrow: async (deadlineMs) => {
      const lent = await pool.acquire(deadlineMs);
      return { ...lent, giveBack: () => pool.release(lent.session) };
    },
  });

  return {
    dialect,
    query: (sql, values, statement = {}) =>
      lend(statement, (session, deadlineMs) => runStatement(session, sql, values, statement, deadlineMs)),
    queryText: (sql, values, statement = {}) =>
      lend(statement, (session, deadlineMs) => runTextStatement(session, sql, values, statement, deadlineMs)),
    execute: (sql, values, statement = {}) =>
      lend(statement, (session, deadlineMs) => executeStatement(session, sql, values, statement, deadlineMs)),
    unitOfWork: (work, unit) => units.unitOfWork(work, unit),

    async connect({ purpose, deadlineMs = connectDeadlineMs }) {
      if (closing !== null) throw closedError();
      const session = await open(`${applicationName} ${purpose}`, deadlineMs);
      dedicated.add(session);
      session.lost.addEventListener("abort", () => dedicated.delete(session), { once: true });
      if (closing !== null) {
        session.destroy();
        throw closedError();
      }
      return createConnection(session, { clock, random, onEvent, statementDeadlineMs, beginDeadlineMs: connectDeadlineMs });
    },

    close({ deadlineMs = closeDeadlineMs } = {}) {
      closing ??= Promise.all([pool.close(deadlineMs), ...[...dedicated].map((session) => session.end(deadlineMs))]).then(() => undefined);
      return closing;
    },
  };
}

function wholeNumber(option: string, value: number, max: number): readonly ConfigProblem[] {
  if (Number.isInteger(value) && value >= 1 && value <= max) return [];
  return [{ option, problem: `must be a whole number from 1 to ${max}` }];
}
