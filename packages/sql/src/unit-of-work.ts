/**
 * One attempt at a unit of work on one session: where each error leads.
 *
 *     BEGIN ──▶ work ──▶ COMMIT sent ──▶ committed, it says ───────────────────────▶ committed
 *       │         │          ├─────────▶ rolled back, it says (it was aborted) ────▶ rolledBack
 *       │         │          ├─────────▶ error that proves it ─────────────────────▶ rolledBack
 *       │         │          └─────────▶ no answer, other error, the server ends ──▶ unknown
 *       └─ error ─┴─ error, deadline, lost connection ─▶ ROLLBACK ─────────────────▶ rolledBack
 *
 * Before COMMIT is sent nothing can have been kept, however the connection ended: the outcome is `rolledBack` without asking. An error
 * in answer to COMMIT proves a rollback on PostgreSQL only if the same session goes on afterwards – a server that shuts down, or a pooler that
 * lost its server, also sends one, maybe after the commit record was written – and on MySQL only if it is one of a few.
 *
 * After the first error nothing but ROLLBACK is sent, whatever `work` does with the error (`poison.ts` has the one exception). A session whose
 * ROLLBACK fails is destroyed.
 */
import { type Clock, isWaybillError, waybillError, withDeadline } from "@waybill/core";
import type { OwnedTx, OwnedValue, StatementOptions } from "./database.ts";
import { deadlineError } from "./deadline-error.ts";
import type { Outcome } from "./outcome.ts";
import { createPoison } from "./poison.ts";
import type { Answer, CommitProof, DatabaseFacts, Session } from "./session.ts";
import { checkOwnedValues } from "./sql-value.ts";
import type { Row } from "./tx.ts";

/** The deadline of a ROLLBACK: nothing depends on it but the reuse of the session. */
const rollbackDeadlineMs = 2_000;

export interface Attempt {
  readonly clock: Clock;
  readonly operation: string;
  /** The whole unit's, for the message of the error. */
  readonly deadlineMs: number;
  /** Monotonic time at which the unit is given up. */
  readonly untilMs: number;
  /** How long BEGIN may take: an idle connection that died in silence is found out here, with time left for another. */
  readonly beginDeadlineMs: number;
  readonly byIndex: boolean;
}

/** What one attempt ended in, and whether the database asked to repeat it, or nothing was sent because the session was dead already. */
export interface Attempted<T> {
  readonly outcome: Outcome<T>;
  readonly repeat: "asked" | "neverBegan" | null;
  readonly sqlState: string | null;
  readonly errno: number | null;
}

export async function attemptUnit<T>(session: Session, work: (tx: OwnedTx) => Promise<T>, attempt: Attempt): Promise<Attempted<T>> {
  const { clock, operation } = attempt;
  const remainingMs = (): number => Math.max(1, attempt.untilMs - clock.monotonicMs());
  const rolledBack = (error: Error, repeat: Attempted<T>["repeat"] = null): Attempted<T> => {
    return { outcome: { kind: "rolledBack", error }, repeat, ...numbersOf(error) };
  };

  try {
    await session.allow(attempt.deadlineMs, Math.min(remainingMs(), attempt.beginDeadlineMs));
    await session.run(
      operation,
      { sql: attempt.byIndex ? session.rules.beginByIndex : "begin" },
      Math.min(remainingMs(), attempt.beginDeadlineMs),
    );
  } catch (error) {
    if (!session.lost.aborted) await rollBack(session);
    return rolledBack(asError(error), session.lost.aborted ? "neverBegan" : null);
  }

  const unit = openUnit(session, operation, remainingMs);
  const worked = await runWork(work, unit.tx, attempt, remainingMs());
  unit.end();
  if (worked.kind === "late") {
    session.destroy("WAYBILL_DEADLINE");
    return unit.isCommittedByWork() ? partlyKept(operation) : rolledBack(worked.error);
  }
  // What is still under way when the work has failed can only be rolled back: it is not waited for until the unit's own deadline.
  const idle = await withDeadline(clock, worked.kind === "threw" ? rollbackDeadlineMs : remainingMs() + rollbackDeadlineMs, unit.idle());
  if (idle.kind === "late") {
    session.destroy("WAYBILL_DEADLINE");
    return rolledBack(worked.kind === "threw" ? worked.error : deadlineError(operation, attempt.deadlineMs));
  }
  if (unit.isCommittedByWork()) return partlyKept(operation);

  const failure = unit.failure();
  if (failure !== null || worked.kind === "threw") {
    await rollBack(session);
    const error = reportable(operation, failure, worked);
    return asksAgain(session, failure) ? { ...rolledBack(error, "asked"), ...numbersOf(failure) } : rolledBack(error);
  }
  if (clock.monotonicMs() >= attempt.untilMs) {
    await rollBack(session);
    return rolledBack(deadlineError(operation, attempt.deadlineMs));
  }
  return commit(session, operation, worked.value, remainingMs(), rolledBack);
}

async function commit<T>(
  session: Session,
  operation: string,
  value: T,
  deadlineMs: number,
  rolledBack: (error: Error, repeat?: Attempted<T>["repeat"]) => Attempted<T>,
): Promise<Attempted<T>> {
  if (session.lost.aborted) {
    return rolledBack(connectionLost(operation));
  }
  try {
    const answer = await session.run(operation, { sql: "commit" }, deadlineMs);
    if (answer.ended === "committed") return { outcome: { kind: "committed", value }, repeat: null, sqlState: null, errno: null };
    return rolledBack(poisoned(operation));
  } catch (error) {
    const goesOn = !session.lost.aborted && (await rollBack(session));
    const proof = proofAtCommit(session, error);
    if (proof === "rolledBack" || (proof === "rolledBackIfItGoesOn" && goesOn)) {
      return rolledBack(asError(error), asksAgain(session, error) ? "asked" : null);
    }
    return { outcome: { kind: "unknown", error: asError(error) }, repeat: null, sqlState: null, errno: null };
  }
}

type Worked<T> =
  | { readonly kind: "done"; readonly value: T }
  | { readonly kind: "threw"; readonly error: Error }
  | { readonly kind: "late"; readonly error: Error };

async function runWork<T>(work: (tx: OwnedTx) => Promise<T>, tx: OwnedTx, attempt: Attempt, remainingMs: number): Promise<Worked<T>> {
  try {
    const worked = await withDeadline(attempt.clock, remainingMs, work(tx));
    if (worked.kind === "settled") return { kind: "done", value: worked.value };
    return { kind: "late", error: deadlineError(attempt.operation, attempt.deadlineMs) };
  } catch (error) {
    return { kind: "threw", error: asError(error) };
  }
}

interface OpenUnit {
  readonly tx: OwnedTx;
  /** The first error of a statement, also if nobody looked at it. */
  failure(): Error | null;
  /** True if a statement of `work` ended the transaction other than by a rollback. */
  isCommittedByWork(): boolean;
  /** Refuses further statements. */
  end(): void;
  /** Resolves when no statement is under way any more. */
  idle(): Promise<void>;
}

function openUnit(session: Session, operation: string, remainingMs: () => number): OpenUnit {
  const poison = createPoison();
  let isOver = false;
  let isCommittedByWork = false;
  let last: Promise<unknown> = Promise.resolve();

  const send = async (sql: string, values: readonly OwnedValue[], { name }: StatementOptions): Promise<Answer> => {
    const statement = { sql, values };
    const blocking = poison.blocks(statement);
    if (blocking !== null) throw poisoned(operation, blocking);
    try {
      checkOwnedValues(session.dialect, values);
      if (session.rules.endsTransaction(sql)) throw endsItself(operation);
      const answer = await session.run(operation, { sql, values, name }, remainingMs());
      if (answer.ended !== null) {
        isCommittedByWork = answer.ended === "committed";
        throw ended(operation);
      }
      poison.passed();
      return answer;
    } catch (error) {
      const failure = asError(error);
      poison.failed(statement, failure, mayRepeatStatement(session, error));
      throw failure;
    }
  };

  const sendInTurn = (sql: string, values: readonly OwnedValue[], options: StatementOptions = {}): Promise<Answer> => {
    if (isOver) return Promise.reject(ended(operation));
    // One after the other, also when `work` does not wait: the driver knows no other order, and the first error must be the last word.
    const answer = last.then(() => send(sql, values, options));
    last = answer.catch(() => undefined);
    return answer;
  };

  return {
    tx: {
      dialect: session.dialect,
      query: async (sql, values, options) => (await sendInTurn(sql, values, options)).rows as readonly Row[],
      execute: async (sql, values, options) => (await sendInTurn(sql, values, options)).rowCount,
    },
    failure: poison.error,
    isCommittedByWork: () => isCommittedByWork,
    end: () => {
      isOver = true;
    },
    idle: async () => {
      await last;
    },
  };
}

/** True if the server answered: the session is as new. Otherwise it is destroyed, and with it the transaction. */
async function rollBack(session: Session): Promise<boolean> {
  if (session.lost.aborted) return false;
  try {
    await session.run("rollback", { sql: "rollback" }, rollbackDeadlineMs);
    return true;
  } catch {
    // Whoever rolls back already has the error that matters; the server rolls back what its client left.
    session.destroy("ROLLBACK");
    return false;
  }
}

/** What `work` threw tells most, unless it only stumbled over the poison; a swallowed error is reported as what it is. */
function reportable<T>(operation: string, failure: Error | null, worked: Worked<T>): Error {
  if (worked.kind === "threw" && !(failure !== null && isWaybillError(worked.error, "WAYBILL_UNIT_POISONED"))) return worked.error;
  if (worked.kind === "done" && failure !== null) return poisoned(operation, failure);
  return failure ?? poisoned(operation);
}

function asksAgain(session: Session, error: unknown): error is Error {
  return isWaybillError(error, "WAYBILL_DATABASE") && session.rules.asksForRepetition(error.facts);
}

function proofAtCommit(session: Session, error: unknown): CommitProof {
  return isWaybillError(error, "WAYBILL_DATABASE") ? session.rules.proofAtCommit(error.facts) : "nothing";
}

function mayRepeatStatement(session: Session, error: unknown): boolean {
  return isWaybillError(error, "WAYBILL_DATABASE") && session.rules.mayRepeatStatement(error.facts);
}

function numbersOf(error: unknown): Pick<DatabaseFacts, "sqlState" | "errno"> {
  if (!isWaybillError(error, "WAYBILL_DATABASE")) return { sqlState: null, errno: null };
  return { sqlState: error.facts.sqlState, errno: error.facts.errno };
}

/** The work sent a COMMIT of its own: what came before it is kept, what came after it is not, and nobody can say more. */
function partlyKept(operation: string): Attempted<never> {
  return { outcome: { kind: "unknown", error: ended(operation) }, repeat: null, sqlState: null, errno: null };
}

function poisoned(operation: string, cause?: Error): Error {
  const message = `An error inside ${operation} poisoned its transaction: only a rollback may follow. Let the first error out.`;
  return waybillError("WAYBILL_UNIT_POISONED", message, { operation }, cause);
}

function ended(operation: string): Error {
  const message = `The transaction of ${operation} is over: send statements before the work ends, and no COMMIT or ROLLBACK of your own.`;
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "finished" });
}

function endsItself(operation: string): Error {
  const message = `A statement of ${operation} would commit its transaction by itself, as DDL does on MySQL, or ends it: send it outside the unit.`;
  return waybillError("WAYBILL_NOT_IN_TRANSACTION", message, { handle: "autocommit" });
}

function connectionLost(operation: string): Error {
  const message = `The connection was lost during ${operation}, before its COMMIT was sent. Try again.`;
  return waybillError("WAYBILL_DATABASE", message, { operation, sqlState: null, errno: null, isTransient: true });
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error("The work threw something that is no error.", { cause: thrown });
}
