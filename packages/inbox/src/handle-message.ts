/**
 * One attempt at one message.
 *
 *     place ──▶ [count the start] ──▶ unit: begin ──▶ what is known? ─ nothing ──▶ handler ──▶ COMMIT ──▶ handled
 *                    own commit          │                 ├─ handled before ─────────────────▶ duplicate
 *                                        │                 ├─ behind a dead letter ──▶ copy ──▶ held
 *                                        │                 └─ not to be run ─────────▶ copy ──▶ dead letter
 *                                        └─ rolled back ──▶ [count the failure] ──▶ again, or a unit that writes the dead letter
 *
 * A crash at any arrow leaves the message undelivered, or committed and not settled: it comes again, and `begin` tells which. A COMMIT
 * without an answer is either; so it comes again, too. Nothing here settles: the caller does, after this has resolved.
 *
 * A start is counted only where a repeat is possible, so that a message that kills its process is found, and steady state pays nothing.
 * One that has an unfinished start runs alone: whatever ends the process then was not a neighbour. Unless another process is at it just
 * now: that start may end well, so it is neither waited for nor counted beside.
 */
import { backoffMs, isWaybillError, traceOf, waybillError } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import type { Arrival } from "./arrival.ts";
import { type AttemptDeadline, attemptDeadline } from "./attempt-deadline.ts";
import { codeOf, decideAfterAttempt, judgeFailure, type Phase, reasons, unfinished } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { HandledMessage, HandlerContext, Processed } from "./inbox.ts";
import type { Attempts } from "./inbox-store.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Way } from "./way.ts";

/** `gone`: another process is at the dead letter, or was. */
export type Ended = Processed | { readonly kind: "gone" };

/** How much longer than the handler's deadline the unit may take: the wait for a connection, our own statements, the COMMIT. */
const unitMarginMs = 5_000;

/** When to come again with a message that another process is handling. */
const inOtherHandsMs = 1_000;

const stopped: Ended = { kind: "again", afterMs: 0, as: "stopped" };

interface Attempt {
  readonly engine: Engine;
  readonly arrival: Arrival;
  readonly way: Way;
  /** null: its start was not counted. */
  readonly counted: Attempts | null;
  readonly isPoison: boolean;
}

type UnitEnd =
  | { readonly kind: "settled"; readonly as: "handled" | "duplicate" | "deadLettered" | "ignored" }
  | { readonly kind: "held" }
  | { readonly kind: "putAside"; readonly reason: string }
  | { readonly kind: "gone" };

/** Waits for a place and makes one attempt. Never rejects: whatever happens says when the message comes again. */
export async function handleMessage(
  engine: Engine,
  arrival: Arrival,
  way: Way,
  life: Lifecycle,
  isRepeatPossible: boolean,
): Promise<Ended> {
  let release = await engine.slots.take("shared", life.stop);
  if (release === null) return stopped;
  try {
    if (isRepeatPossible) {
      await payBack(engine, arrival.id);
      const before = await engine.store.readAttempts(engine.settings.database, arrival.id);
      if (before !== null && unfinished(before) > 0) {
        if (await way.isInOtherHands()) return inOtherHands(engine, arrival, way);
        release();
        release = await engine.slots.take("alone", life.stop);
        if (release === null) return stopped;
      }
    }
    const counted = isRepeatPossible ? await countStart(engine, arrival.id) : null;
    const isPoison = counted !== null && unfinished({ ...counted, started: counted.started - 1 }) >= engine.settings.poisonAttempts;
    return await makeAttempt({ engine, arrival, way, counted, isPoison }, life);
  } catch (error) {
    return disturbed(engine, arrival, null, codeOf(error));
  } finally {
    release?.();
  }
}

/** Not ours for now, whatever comes of it. */
function inOtherHands(engine: Engine, { id }: Arrival, way: Way): Ended {
  if (way.isRedriven) return { kind: "gone" };
  engine.report({ name: "inbox.retrying", messageId: id, attempt: 0, afterMs: inOtherHandsMs, code: "IN_OTHER_HANDS" });
  return { kind: "again", afterMs: inOtherHandsMs, as: "disturbed" };
}

async function countStart(engine: Engine, id: string): Promise<Attempts | null> {
  engine.report({ name: "inbox.attemptStarting", messageId: id });
  const counted = await engine.store.startAttempt(engine.settings.database, id);
  if (counted !== null) engine.report({ name: "inbox.attemptStarted", messageId: id, attempt: counted.started });
  return counted;
}

async function makeAttempt(attempt: Attempt, life: Lifecycle): Promise<Ended> {
  const { engine, arrival, counted } = attempt;
  const { database, clock, handlerDeadlineMs, random, backoff } = engine.settings;
  const deadline = attemptDeadline(clock, handlerDeadlineMs, life.cut);
  const at: { phase: Phase } = { phase: "before" };
  try {
    const outcome = await database.unitOfWork((tx) => work(attempt, tx, deadline, at), {
      operation: "inbox",
      deadlineMs: handlerDeadlineMs + unitMarginMs,
    });
    switch (outcome.kind) {
      case "committed":
        engine.memory.disturbances = 0;
        // Whoever is at it counts for itself: a start of ours that ran nothing would look like one that ended with its process.
        if (outcome.value.kind === "gone") await withdraw(engine, arrival.id, counted);
        return afterCommit(engine, arrival, outcome.value);
      case "unknown": {
        engine.report({ name: "inbox.outcomeUnknown", messageId: arrival.id });
        await withdraw(engine, arrival.id, counted);
        return { kind: "again", afterMs: backoffMs(backoff, 1, random), as: "unknown" };
      }
      case "rolledBack":
        return await afterRollback(attempt, outcome.error, at.phase, deadline);
    }
  } catch (error) {
    return disturbed(engine, arrival, counted, codeOf(error));
  } finally {
    deadline.end();
  }
}

/** The unit. Runs again from the top after a serialization failure or deadlock. */
async function work(attempt: Attempt, tx: OwnedTx, deadline: AttemptDeadline, at: { phase: Phase }): Promise<UnitEnd> {
  const { engine, arrival, way, counted } = attempt;
  const { message, id } = arrival;
  at.phase = "before";
  engine.report({ name: "inbox.unitBegun", messageId: id });
  const action = await way.begin(tx, attempt.isPoison);
  switch (action.kind) {
    case "gone":
      return action;
    case "settle":
      engine.report({ name: "inbox.deduped", messageId: id, isNew: false });
      if (counted !== null) await engine.store.clearAttempts(tx, id);
      await way.finish(tx);
      return { kind: "settled", as: action.as };
    case "hold":
      engine.report({ name: "inbox.holding", messageId: id });
      await way.hold(tx);
      if (counted !== null) await engine.store.clearAttempts(tx, id);
      engine.report({ name: "inbox.committing", messageId: id });
      return { kind: "held" };
    case "putAside":
      engine.report({ name: "inbox.deadLettering", messageId: id, reason: action.reason });
      await way.putAside(tx, action.reason, counted?.started ?? 0, action.isClaimed);
      engine.report({ name: "inbox.committing", messageId: id });
      return { kind: "putAside", reason: action.reason };
    case "run":
      engine.report({ name: "inbox.deduped", messageId: id, isNew: true });
      await runHandler(attempt, tx, deadline, at);
      if (counted !== null) await engine.store.clearAttempts(tx, id);
      await way.finish(tx);
      engine.report({ name: "inbox.committing", messageId: message.id });
      return { kind: "settled", as: "handled" };
  }
}

async function runHandler(
  { engine, arrival, way, counted }: Attempt,
  tx: OwnedTx,
  deadline: AttemptDeadline,
  at: { phase: Phase },
): Promise<void> {
  const { message, id } = arrival;
  const registration = engine.registrations.get(message.type);
  if (registration === undefined) throw new Error("A message of an unknown type is never run.");
  const { clock } = engine.settings;
  const handled: HandledMessage<unknown> = {
    ...message,
    payload: readPayload(registration.type, message.payload),
    trace: traceOf(message.headers),
  };
  at.phase = "handling";
  engine.report({ name: "inbox.handling", messageId: id, type: message.type });
  const startedMs = clock.monotonicMs();
  const context: HandlerContext = {
    get signal() {
      return deadline.signal;
    },
    attempt: counted?.started ?? 1,
    isRedriven: way.isRedriven,
  };
  await deadline.during(() => registration.handler(handled, tx, context));
  at.phase = "handled";
  engine.report({ name: "inbox.handled", messageId: id, durationMs: clock.monotonicMs() - startedMs });
}

/** A payload that its type cannot read is refused at once: it will not get better. */
function readPayload(type: { read(payload: Uint8Array | null): unknown }, payload: Uint8Array | null): unknown {
  try {
    return type.read(payload);
  } catch (error) {
    if (!isWaybillError(error, "WAYBILL_PAYLOAD_INVALID") && !isWaybillError(error, "WAYBILL_PAYLOAD_NOT_JSON")) throw error;
    throw waybillError("WAYBILL_MESSAGE_REJECTED", "The payload is not what its type says.", { reason: reasons.payloadInvalid }, error);
  }
}

function afterCommit(engine: Engine, { id, message }: Arrival, end: UnitEnd): Ended {
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
      if (end.as === "handled") engine.report({ name: "inbox.committed", messageId: id });
      else if (end.as === "ignored") engine.report({ name: "inbox.ignored", messageId: id, type: message.type });
      else engine.report({ name: "inbox.duplicate", messageId: id });
      return { kind: "done", as: end.as };
  }
}

async function afterRollback(attempt: Attempt, error: Error, phase: Phase, deadline: AttemptDeadline): Promise<Ended> {
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
      return putAside(attempt, failure.reason, (counted?.started ?? 0) + (counted === null ? 1 : 0));
    case "attempt": {
      engine.report({ name: "inbox.handlerFailed", messageId: arrival.id, code });
      memory.failed.add(arrival.id);
      const attempts = await store.countAttempt(settings.database, arrival.id, {
        isStartCounted: counted !== null,
        isFailed: failure.isFailed,
      });
      const next = decideAfterAttempt(attempts, code, settings);
      if (next.kind === "putAside") return putAside(attempt, next.reason, attempts.started);
      engine.report({ name: "inbox.retrying", messageId: arrival.id, attempt: attempts.started, afterMs: next.afterMs, code });
      return { kind: "again", afterMs: next.afterMs, as: "failed" };
    }
  }
}

/** Gives the message up in a unit of its own. If that fails, the message comes again and is given up then. */
async function putAside({ engine, arrival, way, counted }: Attempt, reason: string, attempts: number): Promise<Ended> {
  const work = async (tx: OwnedTx): Promise<UnitEnd> => {
    const opened = await way.reopen(tx);
    if (opened === "gone") return { kind: "gone" };
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
async function disturbed(engine: Engine, { id }: Arrival, counted: Attempts | null, code: string): Promise<Ended> {
  const { memory, settings } = engine;
  memory.disturbances += 1;
  const afterMs = backoffMs(settings.backoff, memory.disturbances, settings.random);
  await withdraw(engine, id, counted);
  engine.report({ name: "inbox.retrying", messageId: id, attempt: counted?.started ?? 0, afterMs, code });
  return { kind: "again", afterMs, as: "disturbed" };
}

/** Takes back a start that ended by no fault of its message, if it was counted; if that fails it stays owed. */
async function withdraw(engine: Engine, id: string, counted: Attempts | null): Promise<void> {
  if (counted === null) return;
  engine.memory.owed.add(id);
  await payBack(engine, id).catch(() => undefined); // Whatever failed here is paid before the next start.
}

/** Pays what is owed for a message. */
async function payBack(engine: Engine, id: string): Promise<void> {
  if (!engine.memory.owed.has(id)) return;
  await engine.store.withdrawStart(engine.settings.database, id);
  engine.memory.owed.delete(id);
}
