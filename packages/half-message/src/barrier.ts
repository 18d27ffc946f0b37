/**
 * The barrier: one row in the producer's database for each half message, written by whoever is first.
 *
 *     business transaction ──insert 'committed'──┐
 *                                                ├──▶ one row per (producer, id), never changed
 *     answer to a check ─────insert 'fenced'─────┘
 *
 * If the business transaction is first, its row commits or rolls back with it, and whoever answers a check waits, or says "pending". If
 * the check is first, the business transaction can never commit: its insert fails, and on PostgreSQL the transaction with it. So "rolled back" is
 * binding, and "committed" is a fact. How a check is answered is told in `settle.ts`.
 */
import {
  type Clock,
  emit,
  isWaybillError,
  type OnEvent,
  systemClock,
  throwConfigProblems,
  waybillError,
  withDeadline,
} from "@waybill/core";
import { type Database, namespace, type TransactionHandle, toTx } from "@waybill/sql";
import { barrierConnections } from "./barrier-connections.ts";
import { barrierTables, type Fate } from "./barrier-tables.ts";
import { producerProblems, wholeNumber } from "./producer-options.ts";
import { type AskedFate, type SettledFate, settleFates } from "./settle.ts";
import { settleFailure } from "./settle-error.ts";

export interface BarrierOptions {
  /** The name under which the application prepares half messages. */
  readonly producer: string;
  /** The database of the local transactions, its primary; opened by you and closed by you. */
  readonly database: Database;
  /** Where the tables lie. Default: the connection's search path. */
  readonly schema?: string;
  /** How their names begin. Default `waybill_`. */
  readonly prefix?: string;
  /** Connections of the barrier's own, beside the database's pool. Default 2. */
  readonly barrierConnections?: number;
  /** Milliseconds in which a check is answered; what is not known then is pending. Default 2 000. */
  readonly settleBudgetMs?: number;
  /** Milliseconds that a fence waits for an open transaction on PostgreSQL. Default 300. On MySQL an open one is seen without waiting. */
  readonly lockTimeoutMs?: number;
  /** How long rows are kept, in milliseconds. Default 7 days. */
  readonly barrierRetentionMs?: number;
  readonly clock?: Clock;
  readonly onEvent?: OnEvent;
}

/** What the barrier says about the half messages it was asked about. */
export interface Settled {
  /** Of this barrier; null if it could not be read, and then everything is pending. */
  readonly identity: string | null;
  /** One for each id. */
  readonly fates: ReadonlyMap<string, SettledFate>;
}

export interface Barrier {
  /**
   * Tells this barrier from every other one: sent with a prepare, asked for by `join`. Read once.
   *
   * @throws WAYBILL_CONFIG_INVALID: no identity, or tables that take part in no transaction; WAYBILL_DATABASE, WAYBILL_DEADLINE
   */
  identity(): Promise<string>;
  /**
   * Makes an open transaction the local transaction of a half message. Call it first in the transaction, outside any savepoint, at any
   * isolation level. Whatever it throws, roll back.
   *
   * @throws WAYBILL_FENCED if a check-back has rolled the half message back, or another transaction has joined it; WAYBILL_WRONG_BARRIER if the
   *   transaction is of another database than `identity`; WAYBILL_NOT_IN_TRANSACTION for a pool, a finished or a nested transaction;
   *   WAYBILL_DATABASE, where a serialization failure (40001) may be tried again
   */
  join(transaction: TransactionHandle, half: { readonly id: string; readonly identity: string }): Promise<void>;
  /**
   * Looks, and changes nothing: the fates that are known, and how many milliseconds ago the horizon lies, before which they may have been purged.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_CONFIG_INVALID
   */
  look(ids: readonly string[]): Promise<{ readonly fates: ReadonlyMap<string, Fate>; readonly horizonAgeMs: number }>;
  /** Asks how local transactions ended, and fences those that have not begun. Never rejects; two calls about one id share one answer. */
  settle(asked: readonly AskedFate[]): Promise<Settled>;
  /**
   * Deletes this producer's rows older than `barrierRetentionMs`, 1 000 in a transaction, and notes up to when; answers how many. Run it now and then.
   *
   * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_CONFIG_INVALID
   */
  purge(): Promise<number>;
  /** Closes the barrier's own connections. */
  close(): Promise<void>;
}

const day = 86_400_000;
const purgeRowsMax = 1_000;
const identityDeadlineMs = 5_000;

/**
 * The barrier in a producer's database. Opens nothing before it is needed.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem; WAYBILL_IDENTIFIER_INVALID
 */
export function createBarrier(options: BarrierOptions): Barrier {
  const { producer, database, clock = systemClock, onEvent, lockTimeoutMs = 300, settleBudgetMs = 2_000 } = options;
  const { barrierConnections: connectionCount = 2, barrierRetentionMs = 7 * day } = options;
  throwConfigProblems("The barrier", [
    ...producerProblems(producer),
    ...wholeNumber("barrierConnections", connectionCount, 1, 10),
    ...wholeNumber("settleBudgetMs", settleBudgetMs, 50, 60_000),
    ...wholeNumber("lockTimeoutMs", lockTimeoutMs, 1, 60_000),
    ...wholeNumber("barrierRetentionMs", barrierRetentionMs, 50, 3_650 * day),
  ]);
  const tables = barrierTables(namespace(database.dialect, options));
  const connections = barrierConnections(database, connectionCount, clock);
  const underWay = new Map<string, Promise<Settled>>();
  let known: Promise<string> | null = null;

  const readIdentity = (deadlineMs: number): Promise<string> =>
    connections.use(deadlineMs, async (connection) => {
      const { identity, foreignEngines } = await tables.readIdentity(connection, deadlineMs);
      throwConfigProblems("The barrier", [
        ...(identity === null ? [{ option: "identity", problem: 'is missing; apply the migrations of set "barrier" once more' }] : []),
        ...(foreignEngines > 0 ? [{ option: "engine", problem: "must be InnoDB: another one takes part in no transaction" }] : []),
      ]);
      return identity as string;
    });
  const identityWithin = (deadlineMs: number): Promise<string> => {
    const reading = (known ??= readIdentity(deadlineMs));
    reading.catch(() => {
      if (known === reading) known = null;
    });
    return reading;
  };
  const onBroken = (code: string): void => emit(onEvent, { name: "barrier.settleFailed", producer, code });

  const settleNow = async (asked: readonly AskedFate[]): Promise<Settled> => {
    const untilMs = clock.monotonicMs() + settleBudgetMs;
    try {
      const read = await withDeadline(clock, settleBudgetMs, identityWithin(settleBudgetMs));
      if (read.kind === "late") return { identity: null, fates: allPending(asked, "unreached") };
      const identity = read.value;
      // Of another barrier nothing that is here, or is not, says anything; and nothing is written for it.
      const ours = asked.filter((one) => one.barrier === undefined || one.barrier === identity);
      const others = asked.filter((one) => !ours.includes(one));
      const leftMs = Math.max(1, untilMs - clock.monotonicMs());
      const settled =
        ours.length === 0
          ? new Map<string, SettledFate>()
          : await connections.use(leftMs, (connection) =>
              settleFates({ tables, connection, clock, producer, identity, untilMs, lockTimeoutMs, onBroken }, ours),
            );
      // The database behind our address may be another since we read its identity.
      if ([...settled.values()].some((fate) => fate.kind === "pending" && fate.why === "otherBarrier")) known = null;
      return { identity, fates: new Map([...settled, ...allPending(others, "otherBarrier")]) };
    } catch (error) {
      const failure = settleFailure(error);
      if (failure.kind === "broken") onBroken(failure.code);
      return { identity: null, fates: allPending(asked, failure.kind) };
    }
  };

  return {
    identity: () => identityWithin(identityDeadlineMs),

    async join(transaction, { id, identity }) {
      if (isNested(transaction)) throw nested();
      const tx = toTx(transaction);
      let joined: Awaited<ReturnType<typeof tables.join>>;
      try {
        joined = await tables.join(tx, producer, id, identity);
      } catch (error) {
        if (isDuplicate(error)) throw fenced(producer, id, error);
        throw error;
      }
      switch (joined) {
        case "joined":
          return;
        case "otherBarrier":
          // What was prepared for may be the old one, if the database behind our address is another since.
          known = null;
          throw wrongBarrier(producer, id);
        case "nested":
          throw nested();
      }
    },

    look: (ids) =>
      connections.use(identityDeadlineMs, async (connection) => {
        const { fates } = ids.length === 0 ? { fates: new Map<string, Fate>() } : await tables.readFates(connection, producer, ids);
        const horizonAgeMs = await tables.readHorizon(connection);
        if (horizonAgeMs === null) throw horizonMissing();
        return { fates, horizonAgeMs };
      }),

    async settle(asked) {
      const fresh = [...new Map(asked.map((one) => [one.id, one])).values()].filter(({ id }) => !underWay.has(id));
      if (fresh.length > 0) {
        const run = settleNow(fresh).finally(() => {
          for (const { id } of fresh) underWay.delete(id);
        });
        for (const { id } of fresh) underWay.set(id, run);
      }
      const runs = new Map(asked.map(({ id }): [string, Promise<Settled>] => [id, underWay.get(id) as Promise<Settled>]));
      const fates = new Map<string, SettledFate>();
      let identity: string | null = null;
      for (const [id, run] of runs) {
        const settled = await run;
        identity ??= settled.identity;
        fates.set(id, settled.fates.get(id) ?? { kind: "pending", why: "unreached" });
      }
      return { identity, fates };
    },

    async purge() {
      let purged = 0;
      for (;;) {
        const step = await connections.use(identityDeadlineMs, (connection) =>
          connection.unitOfWork(
            async (tx) => {
              if (!(await tables.raiseHorizon(tx, barrierRetentionMs))) throw horizonMissing();
              return tables.purge(tx, producer, purgeRowsMax);
            },
            { operation: "purge barrier" },
          ),
        );
        // Whether an unknown one was kept does not matter: rows and horizon go together, and the next step goes on.
        if (step.kind !== "committed") throw step.error;
        purged += step.value;
        if (step.value < purgeRowsMax) return purged;
      }
    },

    close: () => connections.close(),
  };
}

function allPending(asked: readonly AskedFate[], why: (SettledFate & { kind: "pending" })["why"]): ReadonlyMap<string, SettledFate> {
  return new Map(asked.map(({ id }) => [id, { kind: "pending", why }]));
}

/** knex knows of its own transactions whether they are a savepoint of another one. */
function isNested(transaction: TransactionHandle): boolean {
  return "parentTransaction" in (transaction as object) && (transaction as { parentTransaction?: unknown }).parentTransaction !== undefined;
}

/** The insert has one table and one unique key. */
function isDuplicate(error: unknown): boolean {
  return isWaybillError(error, "WAYBILL_DATABASE") && (error.facts.sqlState === "23505" || error.facts.errno === 1062);
}

function fenced(producer: string, messageId: string, cause: unknown): Error {
  const message =
    "This local transaction may not commit: its half message was rolled back by a check-back, or was joined before. Roll back; a new try needs a new half message.";
  return waybillError("WAYBILL_FENCED", message, { producer, messageId }, cause);
}

function wrongBarrier(producer: string, messageId: string): Error {
  const message =
    "This transaction is of another database or schema than the half message was prepared for. Pass one of the producer's own.";
  return waybillError("WAYBILL_WRONG_BARRIER", message, { producer, messageId });
}

function nested(): Error {
  const message = "Join the barrier at the top level of the transaction: rolling back to a savepoint would undo it and keep the rest.";
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "nested" });
}

function horizonMissing(): Error {
  const problem = 'is missing; apply the migrations of set "barrier" once more';
  return waybillError("WAYBILL_CONFIG_INVALID", `The barrier's horizon ${problem}.`, { problems: [{ option: "horizon", problem }] });
}
