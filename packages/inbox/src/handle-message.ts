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
import { backoffMs } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import {
  type Attempt,
  afterCommit,
  afterRollback,
  disturbed,
  type Ended,
  payBack,
  stopped,
  type UnitEnd,
  withdraw,
} from "./after-attempt.ts";
import type { Arrival } from "./arrival.ts";
import { type AttemptDeadline, attemptDeadline, unitMarginMs } from "./attempt-deadline.ts";
import { confirmEffect, mustConfirm } from "./confirmation.ts";
import { codeOf, type Phase, unfinished } from "./decision.ts";
import { type Engine, noteDuration } from "./engine.ts";
import { handledMessage } from "./handled-message.ts";
import type { HandlerContext } from "./inbox.ts";
import type { Attempts } from "./inbox-store.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { duplicateOf, keepResult } from "./result-memory.ts";
import { guardVersions, versionOf } from "./version-guard.ts";
import type { Way } from "./way.ts";

/** When to come again with a message that another process is handling. */
const inOtherHandsMs = 1_000;

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
      if (action.as === "duplicate" && mustConfirm(engine, message)) {
        at.phase = "confirming";
        await confirmEffect(engine, tx, message, { deadline, isShared: false });
        // Attempts at its confirmation were counted as attempts at it.
        await engine.store.clearAttempts(tx, id);
      } else if (counted !== null) await engine.store.clearAttempts(tx, id);
      await way.finish(tx);
      return { kind: "settled", as: action.as, ...(action.as === "duplicate" ? await duplicateOf(engine, tx, arrival) : {}) };
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
    case "run": {
      engine.report({ name: "inbox.deduped", messageId: id, isNew: true });
      const ran = await runHandler(attempt, tx, deadline, at);
      await confirmEffect(engine, tx, message, { deadline, isShared: false });
      if (counted !== null) await engine.store.clearAttempts(tx, id);
      await way.finish(tx);
      engine.report({ name: "inbox.committing", messageId: message.id });
      return { kind: "settled", ...ran };
    }
  }
}

async function runHandler(
  { engine, arrival, way, counted }: Attempt,
  tx: OwnedTx,
  deadline: AttemptDeadline,
  at: { phase: Phase },
): Promise<Pick<Extract<UnitEnd, { kind: "settled" }>, "as" | "told">> {
  const { message, id } = arrival;
  const registration = engine.registrations.get(message.type);
  if (registration === undefined) throw new Error("A message of an unknown type is never run.");
  const { clock } = engine.settings;
  const handled = handledMessage(registration.type, message);
  const [isNewer] = await guardVersions(engine, registration, tx, [versionOf(registration, handled)]);
  if (isNewer !== true) return { as: "stale" };
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
  let returned: unknown;
  await deadline.during(async () => {
    returned = await registration.handler(handled, tx, context);
  });
  at.phase = "handled";
  const durationMs = clock.monotonicMs() - startedMs;
  noteDuration(engine, message.type, durationMs);
  engine.report({ name: "inbox.handled", messageId: id, durationMs });
  if (!registration.keepsResult) return { as: "handled" };
  return {
    as: "handled",
    told: { result: await keepResult(engine, tx, "message", { messageId: id, fingerprint: arrival.fingerprint }, returned) },
  };
}
