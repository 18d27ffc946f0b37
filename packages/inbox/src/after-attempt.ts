/**
 * What follows an attempt at a message: once its unit has committed, or has been rolled back.
 */
import { backoffMs } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import type { Arrival } from "./arrival.ts";
import type { AttemptDeadline } from "./attempt-deadline.ts";
import { codeOf, decideAfterAttempt, judgeFailure, type Phase } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { Processed } from "./inbox.ts";
import type { Attempts } from "./inbox-store.ts";
import { duplicateOf, type Told } from "./result-memory.ts";
import type { Way } from "./way.ts";

/** `gone`: another process is at the dead letter, or was. */
export type Ended = Processed | { readonly kind: "gone" };

export const stopped: Processed = { kind: "again", afterMs: 0, as: "stopped" };

/** What became of a delivery: that is nobody else's. */
export function processedOf(ended: Ended): Processed {
  if (ended.kind === "gone") throw new Error("A delivered message is nobody else's.");
  return ended;
}

export interface Attempt {
  readonly engine: Engine;
  readonly arrival: Arrival;
  readonly way: Way;
  /** null: its start was not counted. */
  readonly counted: Attempts | null;
  readonly isPoison: boolean;
}

/** What a unit says about its message. */
export type UnitEnd =
  | {
      readonly kind: "settled";
      readonly as: "handled" | "duplicate" | "stale" | "deadLettered" | "ignored";
      readonly told?: Told;
      /** Why its confirmation was given up. */
      readonly unconfirmed?: string;
    }
  | { readonly kind: "held" }
  | { readonly kind: "putAside"; readonly reason: string }
  | { readonly kind: "gone" };

/** What follows a commit. */
export function afterCommit(engine: Engine, { id, message }: Arrival, end: UnitEnd): Ended {
  switch (end.kind) {
    case "gone":
      return end;
    case "held":
      engine.report({ name: "inbox.held", messageId: id });
      return { kind: "done", as: "held" };
    case "putAside":
      engine.memory.failed.delete(id);
      engine.report({ name: "inbox.deadLettered", messageId: id, reason: end.reason });
      return { kind: "done", as: "deadLettered" };
    case "settled":
      engine.memory.failed.delete(id);
      if (end.unconfirmed !== undefined) engine.report({ name: "inbox.confirmationGivenUp", messageId: id, reason: end.unconfirmed });
      if (end.as === "handled") engine.report({ name: "inbox.committed", messageId: id });
      else if (end.as === "stale") engine.report({ name: "inbox.stale", messageId: id, type: message.type });
      else if (end.as === "ignored") engine.report({ name: "inbox.ignored", messageId: id, type: message.type });
      else engine.report({ name: "inbox.duplicate", messageId: id });
      return { kind: "done", as: end.as, ...end.told };
  }
}

/** What follows a unit that kept nothing. */
export async function afterRollback(attempt: Attempt, error: Error, phase: Phase, deadline: AttemptDeadline): Promise<Ended> {
  const { engine, arrival, counted } = attempt;
  const { store, settings, memory } = engine;
  const code = codeOf(error);
  const failure = judgeFailure(error, { phase, isDeadlinePassed: deadline.isPassed(), isStopped: deadline.isCut() });
  switch (failure.kind) {
    case "stopped":
      await withdraw(engine, arrival.id, counted);
      return stopped;
    case "disturbed":
      return disturbed(engine, arrival, counted, code);
    case "rejected":
      return putAside(attempt, phase, failure.reason, (counted?.started ?? 0) + (counted === null ? 1 : 0));
    case "attempt": {
      engine.report({ name: "inbox.handlerFailed", messageId: arrival.id, code, durationMs: deadline.elapsedMs() });
      memory.failed.add(arrival.id);
      const attempts = await store.countAttempt(settings.database, arrival.id, {
        isStartCounted: counted !== null,
        isFailed: failure.isFailed,
      });
      const { poisonAttempts, random } = settings;
      const retry = engine.registrations.get(arrival.message.type)?.retry ?? engine.usualRetry;
      const next = decideAfterAttempt(attempts, code, { ...retry, poisonAttempts, random }, failure.afterMs);
      if (next.kind === "putAside") return putAside(attempt, phase, next.reason, attempts.started);
      engine.report({ name: "inbox.retrying", messageId: arrival.id, attempt: attempts.started, afterMs: next.afterMs, code });
      return { kind: "again", afterMs: next.afterMs, as: "failed" };
    }
  }
}

/**
 * Gives the message up in a unit of its own. If that fails, the message comes again and is given up then. One that was handled needs no dead letter, be it
 * that somebody else handled it meanwhile, or that only its confirmation is given up: a dead letter would say that its effect is missing, hold up its key, and
 * run the handler again if it were redriven after the retention. Its producer sends it again by itself.
 */
async function putAside({ engine, arrival, way, counted }: Attempt, phase: Phase, reason: string, attempts: number): Promise<Ended> {
  const work = async (tx: OwnedTx): Promise<UnitEnd> => {
    const opened = await way.reopen(tx);
    if (opened === "gone") return { kind: "gone" };
    if (phase === "confirming") {
      // Its row may have gone by retention meanwhile, and is there again then: it was handled.
      await engine.store.clearAttempts(tx, arrival.id);
      await way.finish(tx);
      return { kind: "settled", as: "duplicate", unconfirmed: reason, ...(await duplicateOf(engine, tx, arrival)) };
    }
    if (opened === "duplicate") {
      await engine.store.clearAttempts(tx, arrival.id);
      return { kind: "settled", as: "duplicate" };
    }
    engine.report({ name: "inbox.deadLettering", messageId: arrival.id, reason });
    await way.putAside(tx, reason, attempts, opened === "claimed");
    engine.report({ name: "inbox.committing", messageId: arrival.id });
    return { kind: "putAside", reason };
  };
  const outcome = await engine.settings.database.unitOfWork(work, { operation: "dead letter" });
  if (outcome.kind === "committed") {
    if (outcome.value.kind === "gone") await withdraw(engine, arrival.id, counted);
    return afterCommit(engine, arrival, outcome.value);
  }
  if (outcome.kind === "unknown") engine.report({ name: "inbox.outcomeUnknown", messageId: arrival.id });
  return disturbed(engine, arrival, counted, codeOf(outcome.error));
}

/** Nobody's fault: again, with a backoff that grows while the disturbance lasts, and with the counted start taken back. */
export async function disturbed(engine: Engine, { id }: Arrival, counted: Attempts | null, code: string): Promise<Ended> {
  const { memory, settings } = engine;
  memory.disturbances += 1;
  const afterMs = backoffMs(settings.backoff, memory.disturbances, settings.random);
  await withdraw(engine, id, counted);
  engine.report({ name: "inbox.retrying", messageId: id, attempt: counted?.started ?? 0, afterMs, code });
  return { kind: "again", afterMs, as: "disturbed" };
}

/** Takes back a start that ended by no fault of its message, if it was counted; if that fails it stays owed. */
export async function withdraw(engine: Engine, id: string, counted: Attempts | null): Promise<void> {
  if (counted === null) return;
  engine.memory.owed.add(id);
  await payBack(engine, id).catch(() => undefined); // Whatever failed here is paid before the next start.
}

/** Pays what is owed for a message. */
export async function payBack(engine: Engine, id: string): Promise<void> {
  if (!engine.memory.owed.has(id)) return;
  await engine.store.withdrawStart(engine.settings.database, id);
  engine.memory.owed.delete(id);
}
