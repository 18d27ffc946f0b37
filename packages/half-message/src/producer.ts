/**
 * A producer of half messages: prepares, runs the local transaction, reports how it ended, and answers when the service asks.
 *
 *     prepare ──refused, deadline──▶ WAYBILL_PREPARE_FAILED: the work was never called
 *        │
 *        ▼
 *     BEGIN ─▶ join the barrier ─▶ work ─▶ COMMIT ──committed──▶ report commit, in the background if need be
 *        └────────┴─────────────────┴──error──▶ ROLLBACK ──────▶ report rollback, once; your error
 *                                         └──no answer──▶ ask the barrier: committed, rolled back, or WAYBILL_OUTCOME_UNKNOWN
 *
 * A crash at any arrow leaves a prepared half message, and the service asks: the row of the barrier is there if and only if the transaction committed.
 *
 * An id that you chose may be under way twice. So its rollback is never reported by what one transaction ended in: the barrier is asked first, and
 * fences the other one, or has its commit.
 */
import { emit, isWaybillError, newMessageId, systemClock, systemRandom, waybillError } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { type Barrier, createBarrier } from "./barrier.ts";
import { barrierAnswers } from "./barrier-answers.ts";
import { type Checker, type CheckReply, type CheckRequest, createBatchChecker } from "./checker.ts";
import { decisionReports } from "./decision-reports.ts";
import { encodeHalfMessage, type HalfMessageContents } from "./encode-half-message.ts";
import { type HalfMessage, type OwnHalfMessage, preparedHalfMessage } from "./half-message.ts";
import { prepareHalfMessage } from "./prepare-half-message.ts";
import { type CreateProducerOptions, producerSettings } from "./producer-options.ts";
import { runChecks } from "./run-checks.ts";
import { createServiceClient } from "./service-client.ts";

export interface PrepareOptions {
  /** An id of your own, 1 to 64 of `A-Z a-z 0-9 _ -`, spent for ever once it is decided. Default: a new one. */
  readonly id?: string;
  /** Instead of the producer's. */
  readonly order?: "decision" | "prepare";
  readonly checkAfterMs?: number;
  readonly suspendAfterMs?: number;
}

export interface SendOptions extends PrepareOptions {
  /** Milliseconds for the local transaction, repeats included. Default 15 000. */
  readonly deadlineMs?: number;
}

/** What was sent: committed for good. */
export interface Sent<T> {
  readonly id: string;
  /** What the work answered. */
  readonly value: T;
  /** False: the service does not know yet; it is told in the background, or asks. */
  readonly isReported: boolean;
}

export interface Producer {
  /**
   * Prepares, runs `work` in one transaction with the barrier, commits, reports. Serialization failures and deadlocks run the whole work again.
   *
   * @throws WAYBILL_PREPARE_FAILED: `work` was not called; WAYBILL_FENCED: a check-back has rolled it back; WAYBILL_OUTCOME_UNKNOWN: neither
   *   retry nor roll back, a check-back decides; your own error, and what `database` throws: rolled back
   */
  send<T>(contents: HalfMessageContents, work: (tx: OwnedTx) => Promise<T>, options?: SendOptions): Promise<Sent<T>>;
  /**
   * Prepares; the local transaction is yours: `join` first in it, `commit` after it, `settle` in your `catch`.
   *
   * @throws WAYBILL_PREPARE_FAILED; WAYBILL_MESSAGE_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE: nothing happened
   */
  prepare(contents: HalfMessageContents, options?: PrepareOptions): Promise<HalfMessage>;
  /** Answers a check that the service pushed. Never rejects: what cannot be answered says so. */
  answerChecks(request: CheckRequest): Promise<CheckReply>;
  /** The same for `node:http`: reads the request, answers it. Never rejects. */
  handleChecks: Checker["handle"];
  /** Fetches checks and answers them until the signal aborts, for a producer that nobody can call. Rejects only if it was never set up for it. */
  runChecks(options: { readonly signal: AbortSignal }): Promise<void>;
  /** Deletes old rows of the barrier, and answers how many. Run it once a day or so. */
  purgeBarrier(): Promise<number>;
  /** Waits for decisions that are being reported, 5 000 ms at most, and closes what it opened. */
  close(options?: { readonly deadlineMs?: number }): Promise<void>;
}

const idPattern = /^[A-Za-z0-9_-]{1,64}$/;
const closeDeadlineMs = 5_000;

/**
 * Makes a producer. Opens nothing before it is needed.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function createProducer(options: CreateProducerOptions): Producer {
  const { producer, database, clock = systemClock, random = systemRandom, onEvent } = options;
  const settings = producerSettings(options);
  const client = createServiceClient({ service: options.service, http: options.http, clock });
  const reports = decisionReports({ client, producer, clock, random, onEvent, ...settings });
  const barrier = database === undefined ? null : createBarrier({ ...options, database });
  const checker =
    barrier === null
      ? null
      : createBatchChecker({ producer, secrets: settings.checkSecrets, clock, answer: barrierAnswers(barrier, { producer, onEvent }) });

  const prepare = async (contents: HalfMessageContents, asked: PrepareOptions): Promise<OwnHalfMessage> => {
    const id = asked.id ?? newMessageId();
    if (!idPattern.test(id)) throw idInvalid();
    const identity = barrier === null ? null : await barrier.identity();
    const check = { afterMs: asked.checkAfterMs ?? settings.checkAfterMs, suspendAfterMs: asked.suspendAfterMs ?? settings.suspendAfterMs };
    const encoded = encodeHalfMessage(contents, { id, barrier: identity, order: asked.order ?? settings.order, check });
    const since = { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
    try {
      await prepareHalfMessage({ client, producer, clock, random, onEvent, ...settings }, id, encoded);
    } catch (error) {
      // Nothing ran under an id that is new; one of your own may be another transaction's, too.
      const mayBeStored = isWaybillError(error, "WAYBILL_PREPARE_FAILED") && error.facts.mayBeStored;
      if (mayBeStored && asked.id === undefined) reports.rollback({ id }).catch(() => undefined);
      throw error;
    }
    return preparedHalfMessage({
      id,
      body: encoded.body,
      producer,
      barrier: barrier === null || identity === null ? null : { own: barrier, identity },
      reports,
      client,
      clock,
      onEvent,
      since,
      ...settings,
    });
  };

  const send = async <T>(contents: HalfMessageContents, work: (tx: OwnedTx) => Promise<T>, asked: SendOptions): Promise<Sent<T>> => {
    const units = neededDatabase(database);
    const half = await prepare(contents, asked);
    const ours = { producer, messageId: half.id } as const;
    let worked: { readonly value: T } | null = null;
    const unit = async (tx: OwnedTx): Promise<void> => {
      await half.join(tx);
      worked = { value: await work(tx) };
      emit(onEvent, { name: "producer.worked", ...ours });
    };
    const { deadlineMs } = asked;
    const outcome = await units
      .unitOfWork(unit, { operation: "a half message's transaction", ...(deadlineMs === undefined ? {} : { deadlineMs }) })
      .catch((error: Error) => ({ kind: "rolledBack", error }) as const); // no connection was to be had

    const committed = async (): Promise<Sent<T>> => {
      emit(onEvent, { name: "producer.committed", ...ours });
      return { id: half.id, value: (worked as { readonly value: T } | null)?.value as T, isReported: await half.commit() };
    };
    switch (outcome.kind) {
      case "committed":
        return committed();
      case "rolledBack":
        emit(onEvent, { name: "producer.rolledBack", ...ours });
        await tellRollback(half, outcome.error, asked);
        throw outcome.error;
      case "unknown": {
        emit(onEvent, { name: "producer.outcomeUnknown", ...ours });
        const fate = await half.askBarrier();
        if (fate.kind === "committed") return committed();
        if (fate.kind !== "rolledBack") throw outcomeUnknown(half.id, outcome.error);
        emit(onEvent, { name: "producer.rolledBack", ...ours });
        await reports.rollback({ id: half.id });
        throw outcome.error;
      }
    }
  };

  const tellRollback = async (half: OwnHalfMessage, error: Error, asked: SendOptions): Promise<void> => {
    // The barrier knows the id already, by a check or by another transaction that may have committed: not ours to decide.
    if (isWaybillError(error, "WAYBILL_FENCED")) return;
    if (asked.id === undefined) await reports.rollback({ id: half.id });
    else await half.settle();
  };

  return {
    send: (contents, work, asked = {}) => send(contents, work, asked),
    prepare: (contents, asked = {}) => prepare(contents, asked),
    answerChecks: (request) => neededChecker(checker).answer(request),
    handleChecks: (request, response) => neededChecker(checker).handle(request, response),
    runChecks: ({ signal }) =>
      runChecks({
        client,
        producer,
        answer: barrierAnswers(neededBarrier(barrier), { producer, onEvent }),
        clock,
        random,
        onEvent,
        signal,
        ...settings,
      }),
    purgeBarrier: () => neededBarrier(barrier).purge(),
    async close({ deadlineMs = closeDeadlineMs } = {}) {
      await reports.close(deadlineMs);
      client.close();
      await barrier?.close();
    },
  };
}

function neededDatabase<T>(database: T | undefined): T {
  if (database === undefined) throw withoutBarrier();
  return database;
}

function neededBarrier(barrier: Barrier | null): Barrier {
  if (barrier === null) throw withoutBarrier();
  return barrier;
}

function neededChecker(checker: Checker | null): Checker {
  if (checker === null) throw withoutBarrier();
  return checker;
}

function withoutBarrier(): Error {
  const problem = "is needed: the barrier lies in it; without one, answer checks with createChecker";
  return waybillError("WAYBILL_CONFIG_INVALID", `The producer's database ${problem}.`, { problems: [{ option: "database", problem }] });
}

function idInvalid(): Error {
  const rule = "1 to 64 of A-Z, a-z, 0-9, '_' and '-'";
  return waybillError("WAYBILL_MESSAGE_INVALID", `The id of a half message must be ${rule}.`, { field: "id", rule });
}

function outcomeUnknown(messageId: string, cause: Error): Error {
  const operation = "a half message's transaction";
  const message =
    "Nobody answered the COMMIT, and the barrier could not be asked in time: neither retry nor roll back, a check-back decides.";
  return waybillError("WAYBILL_OUTCOME_UNKNOWN", message, { operation, messageId }, cause);
}
