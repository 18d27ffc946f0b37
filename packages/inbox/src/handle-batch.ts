/**
 * Several messages in one transaction.
 *
 *     place ──▶ unit: claim all ──▶ handlers of the new ones, in order ──▶ [give back what was not run] ──▶ COMMIT ──▶ handled
 *                       │                    └── any error ──▶ rolled back: one by one          │
 *                       ├─ handled before ──▶ duplicate                                         └─ no answer: the rows are asked
 *                       └─ anything else ───▶ left: the way of one message, after this
 *
 * A crash before COMMIT leaves nothing, one after it leaves messages that come again and are duplicates. After an error nobody knows what it
 * says about the others, so nothing is counted and nothing given up here: each message goes the way of one (`handle-message.ts`), and
 * one that fails costs its batch one slow turn. Only a handler that passed its deadline is known at once: it would take as long again.
 *
 * A batch keeps its turn short: after `turnMs` no further handler is started, and what was not run goes back in line with its row removed.
 * So slow handlers make small batches. Those handled before a slow one wait for it once: messages of a type whose handler took longer than that
 * share no transaction until it is quick again. Nor does a batch wait long for a row that another process has inserted and not committed: after
 * `claimMs` it is given up, and each message goes the way of one, where only the one that waits does.
 *
 * A COMMIT without an answer is asked about: all rows of the batch are there, or none. A row that is not there may still come, for the
 * server may be at it: that message comes again, and its claim waits for who has it.
 */
import { backoffMs, type EntityVersion, isWaybillError, withDeadline } from "@waybill/core";
import type { Outcome, OwnedTx } from "@waybill/sql";
import { afterCommit, afterRollback, processedOf, stopped } from "./after-attempt.ts";
import type { Arrival } from "./arrival.ts";
import { type AttemptDeadline, attemptDeadline, unitMarginMs } from "./attempt-deadline.ts";
import { planBatch, stepsOf } from "./batch-plan.ts";
import { batchTx } from "./batch-tx.ts";
import { confirmEffect, mustConfirm } from "./confirmation.ts";
import { codeOf, type FailureKind, judgeFailure, type Phase } from "./decision.ts";
import { deliveredWay } from "./delivered-way.ts";
import { type Engine, noteDuration, type Registration, turnMs } from "./engine.ts";
import { handledMessage } from "./handled-message.ts";
import type { HandledMessage, HandlerContext, Processed } from "./inbox.ts";
import { laneName } from "./lanes.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { type Duplicate, keepResult, resultsOf, type Told } from "./result-memory.ts";
import { guardVersions, versionOf } from "./version-guard.ts";

/** `left`: it goes the way of one message. `notReached`: its turn did not come, so it goes back in line. */
export type BatchEnd = Processed | "left" | "notReached";

/** How long the claim of a batch may take. Waiting for a row takes as long as whoever has it; a database that is only slow answers sooner. */
const claimMs = 1_500;

/** A message of a batch, read. */
interface Member {
  readonly arrival: Arrival;
  readonly type: string;
  readonly lane: string | null;
  readonly registration: Registration | undefined;
}

/** How far the unit has come. It may begin again from the top. */
interface Progress {
  phase: Phase;
  deadline: AttemptDeadline | null;
  /** Those whose handler runs. */
  running: readonly Member[];
  /** What it says, once it has come to its COMMIT. */
  said: UnitEnds | null;
}

/** What the unit says about messages, if it commits. The others are left. */
type MemberEnd = "handled" | "duplicate" | "stale" | "notReached";
interface UnitEnds {
  readonly ends: ReadonlyMap<Member, MemberEnd>;
  /** By message id. */
  readonly told: ReadonlyMap<string, Told>;
}

/** Handles deliveries that are plain: known type, usable id, no repeat possible, no id twice. Answers in their order; never rejects. */
export async function handleBatch(engine: Engine, arrivals: readonly Arrival[], life: Lifecycle): Promise<readonly BatchEnd[]> {
  const release = await engine.slots.take("shared", life.stop);
  if (release === null) return arrivals.map(() => stopped);
  const batch = arrivals.map((arrival) => memberOf(engine, arrival));
  const at = { phase: "before", deadline: null, running: [], said: null } as Progress;
  try {
    const outcome = await engine.settings.database.unitOfWork((tx) => work(engine, batch, tx, at, life), {
      operation: "inbox batch",
      deadlineMs: turnMs + engine.settings.handlerDeadlineMs + unitMarginMs,
    });
    return await endsAfter(engine, batch, outcome, at);
  } catch (error) {
    return disturbedAll(engine, batch, codeOf(error));
  } finally {
    at.deadline?.end();
    release();
  }
}

function memberOf(engine: Engine, arrival: Arrival): Member {
  const { type } = arrival.message;
  return { arrival, type, lane: arrival.lane === null ? null : laneName(arrival.lane), registration: engine.registrations.get(type) };
}

/** What its handler gets, and the version by which it is guarded, if it is. */
interface ReadMember {
  readonly message: HandledMessage<unknown>;
  readonly version: EntityVersion | null;
}

/** Read for each run of the unit anew, for a handler may use up what it is given. null: it cannot be read. */
function readMember({ arrival, registration }: Member): ReadMember | null {
  if (registration === undefined) return null;
  try {
    const message = handledMessage(registration.type, arrival.message);
    return { message, version: versionOf(registration, message) };
  } catch {
    // It is read once more where it is put aside, and what is wrong with it is said there.
    return null;
  }
}

/** The unit. Runs again from the top after a serialization failure or deadlock. */
async function work(engine: Engine, batch: readonly Member[], tx: OwnedTx, at: Progress, life: Lifecycle): Promise<UnitEnds> {
  const { store, settings, registrations } = engine;
  const { clock, keyPolicy, retentionMs } = settings;
  at.phase = "before";
  at.running = [];
  at.said = null;
  engine.report({ name: "inbox.batchBegun", messages: batch.length });
  const claims = batch.map(({ arrival: { id, fingerprint, lane, message } }) => ({
    messageId: id,
    fingerprint,
    lane,
    waitsBehindDead: keyPolicy === "hold",
    createdAtMs: message.createdAtMs,
    retentionMs,
  }));
  const claiming = await withDeadline(clock, claimMs, store.claimAll(tx, claims));
  if (claiming.kind === "late") throw new ClaimLate("A row of the batch is in other hands.");
  const claimed = claiming.value;
  const readings = new Map(batch.map((member) => [member, readMember(member)]));
  const fates = planBatch(
    batch.map((member) => ({ lane: member.lane, isReadable: readings.get(member) !== null })),
    claimed,
  );
  const ends = new Map<Member, MemberEnd>();
  for (const [place, member] of batch.entries()) {
    if (fates[place] === "duplicate") ends.set(member, "duplicate");
    if (fates[place] === "run") ends.set(member, "notReached");
  }
  const duplicates = batch.filter((_, place) => fates[place] === "duplicate");
  const told = new Map(await resultsOf(engine, tx, duplicates.map(resultKeyOf)));
  for (const member of duplicates) await confirmMember(engine, member, "confirming", tx, at, life);
  const fresh = batch.filter((_, place) => fates[place] === "run");
  engine.report({ name: "inbox.batchDeduped", messages: batch.length, fresh: fresh.length });

  const untilMs = clock.monotonicMs() + turnMs;
  let handled = 0;
  for (const { items, isTogether } of stepsOf(fresh, (type) => registrations.get(type)?.takesMany === true)) {
    if (life.stop.aborted || (handled > 0 && clock.monotonicMs() >= untilMs)) break;
    const read = items.map((member) => readings.get(member) as ReadMember);
    const isNewer = await guardStep(engine, items, read, tx, at);
    for (const [place, member] of items.entries()) ends.set(member, isNewer[place] === true ? "handled" : "stale");
    const toRun = items.filter((_, place) => isNewer[place]);
    const messages = read.flatMap(({ message }, place) => (isNewer[place] === true ? [message] : []));
    if (toRun.length > 0) {
      const returned = await runHandler(engine, toRun, messages, isTogether, tx, at, life);
      const [only] = toRun;
      if (only?.registration?.keepsResult === true) {
        const print = { messageId: only.arrival.id, fingerprint: only.arrival.fingerprint };
        told.set(print.messageId, { result: await keepResult(engine, tx, "message", print, returned) });
      }
    }
    for (const member of items) await confirmMember(engine, member, "handled", tx, at, life);
    handled += items.length;
  }

  const isSettled = (member: Member): boolean => (ends.get(member) ?? "notReached") !== "notReached";
  const back = batch.filter((member, place) => claimed[place]?.kind === "claimed" && !isSettled(member));
  await store.unclaimAll(
    tx,
    back.map(({ arrival }) => arrival.id),
  );
  engine.report({ name: "inbox.batchCommitting", messages: batch.filter(isSettled).length });
  at.said = { ends, told };
  return at.said;
}

function resultKeyOf({ arrival, registration }: Member): Duplicate {
  return { messageId: arrival.id, fingerprint: arrival.fingerprint, registration };
}

/** Whether each message of a step tells of a newer version, or has none that is guarded. They are of one type. */
function guardStep(
  engine: Engine,
  members: readonly Member[],
  read: readonly ReadMember[],
  tx: OwnedTx,
  at: Progress,
): Promise<readonly boolean[]> {
  const [{ registration }] = members as readonly [Member];
  if (registration === undefined) throw new Error("A message of an unknown type is never run.");
  // What fails here is taken apart like what a handler throws: by themselves the messages show whose fault it is.
  at.phase = "handling";
  at.running = members;
  const versions = read.map(({ version }) => version);
  return guardVersions(engine, registration, tx, versions);
}

/** Answers what the handler of one message returned. */
async function runHandler(
  engine: Engine,
  members: readonly Member[],
  messages: readonly HandledMessage<unknown>[],
  isTogether: boolean,
  tx: OwnedTx,
  at: Progress,
  life: Lifecycle,
): Promise<unknown> {
  const { clock, handlerDeadlineMs } = engine.settings;
  const [{ arrival, registration, type }] = members as readonly [Member];
  if (registration === undefined) throw new Error("A message of an unknown type is never run.");
  at.deadline?.end();
  const deadline = attemptDeadline(clock, handlerDeadlineMs, life.cut);
  at.deadline = deadline;
  at.running = members;
  at.phase = "handling";
  const context: HandlerContext = {
    get signal() {
      return deadline.signal;
    },
    attempt: 1,
    isRedriven: false,
  };
  const own = batchTx(tx);
  const startedMs = clock.monotonicMs();
  let returned: unknown;
  try {
    if (isTogether) engine.report({ name: "inbox.handlingMany", messages: messages.length, type });
    else engine.report({ name: "inbox.handling", messageId: arrival.id, type });
    await deadline.during(async () => {
      returned = isTogether
        ? await registration.handleMany(messages, own.tx, context)
        : await registration.handler(messages[0] as HandledMessage<unknown>, own.tx, context);
    });
    const durationMs = clock.monotonicMs() - startedMs;
    noteDuration(engine, type, durationMs);
    if (isTogether) engine.report({ name: "inbox.handledMany", messages: messages.length, durationMs });
    else engine.report({ name: "inbox.handled", messageId: arrival.id, durationMs });
  } finally {
    own.end();
  }
  const refusal = own.refusal();
  if (refusal !== null) {
    engine.memory.loneTypes.add(type);
    throw refusal;
  }
  // What comes after it, COMMIT among it, is not its attempt; and what it sent and did not wait for is not the next one's.
  deadline.end();
  await own.idle();
  at.phase = "handled";
  return returned;
}

/** Confirms one message of the batch, if it asks for it: it has a handler's time, and whoever fails or does not end is known by name. */
async function confirmMember(
  engine: Engine,
  member: Member,
  phase: "handled" | "confirming",
  tx: OwnedTx,
  at: Progress,
  life: Lifecycle,
): Promise<void> {
  if (!mustConfirm(engine, member.arrival.message)) return;
  at.deadline?.end();
  const deadline = attemptDeadline(engine.settings.clock, engine.settings.handlerDeadlineMs, life.cut);
  at.deadline = deadline;
  at.running = [member];
  at.phase = phase;
  await confirmEffect(engine, tx, member.arrival.message, { deadline, isShared: true });
  deadline.end();
}

function endsAfter(engine: Engine, batch: readonly Member[], outcome: Outcome<UnitEnds>, at: Progress): Promise<readonly BatchEnd[]> {
  switch (outcome.kind) {
    case "committed":
      engine.memory.disturbances = 0;
      return Promise.resolve(endsOf(engine, batch, outcome.value));
    case "unknown":
      return askAbout(engine, batch, at);
    case "rolledBack":
      return afterBatch(engine, batch, outcome.error, at);
  }
}

function endsOf(engine: Engine, batch: readonly Member[], { ends, told }: UnitEnds): readonly BatchEnd[] {
  engine.report({ name: "inbox.batchCommitted", messages: batch.length });
  return batch.map((member) => {
    const as = ends.get(member) ?? "left";
    if (as === "left" || as === "notReached") return as;
    return processedOf(afterCommit(engine, member.arrival, { kind: "settled", as, told: told.get(member.arrival.id) ?? {} }));
  });
}

/** Nobody answered the COMMIT: what has a row was handled, by us or by who came before us. */
async function askAbout(engine: Engine, batch: readonly Member[], { said }: Progress): Promise<readonly BatchEnd[]> {
  const { store, settings } = engine;
  for (const { arrival } of batch) engine.report({ name: "inbox.outcomeUnknown", messageId: arrival.id });
  const prints = batch.map(({ arrival: { id, fingerprint } }) => ({ messageId: id, fingerprint }));
  const known = await store.areHandled(settings.database, prints);
  const afterMs = backoffMs(settings.backoff, 1, settings.random);
  return batch.map((member, place) => {
    const as = said?.ends.get(member) ?? "notReached";
    if (known[place] !== true || as === "notReached") return { kind: "again", afterMs, as: "unknown" };
    return processedOf(afterCommit(engine, member.arrival, { kind: "settled", as, told: said?.told.get(member.arrival.id) ?? {} }));
  });
}

async function afterBatch(engine: Engine, batch: readonly Member[], error: Error, at: Progress): Promise<readonly BatchEnd[]> {
  const code = codeOf(error);
  engine.report({ name: "inbox.batchRolledBack", messages: batch.length, code });
  const isStopped = at.deadline?.isCut() ?? false;
  const failure: FailureKind = judgeFailure(error, {
    phase: at.phase,
    isDeadlinePassed: at.deadline?.isPassed() ?? false,
    isStopped,
  });
  if (failure.kind === "stopped") return batch.map(() => stopped);
  if (error instanceof ClaimLate) return batch.map(() => "left");
  // What the database refused for good is one message's fault: by themselves they show whose.
  if (at.phase === "before" && isPassing(error)) return disturbedAll(engine, batch, code);
  const [late] = at.running;
  if (failure.kind !== "attempt" || failure.isFailed || late === undefined || at.running.length > 1 || at.deadline === null) {
    return batch.map(() => "left");
  }
  // Nothing is decided about it before those of its key that stand before it: they would come again, or be held, behind it.
  if (late.lane !== null && batch.find(({ lane }) => lane === late.lane) !== late) return batch.map(() => "left");
  const { arrival } = late;
  const attempt = { engine, arrival, way: deliveredWay(engine, arrival, false), counted: null, isPoison: false };
  const ended = processedOf(await afterRollback(attempt, error, at.phase, at.deadline));
  return batch.map((member) => (member === late ? ended : "left"));
}

/** Some row is another unit's that has not ended. */
class ClaimLate extends Error {}

function isPassing(error: Error): boolean {
  return !isWaybillError(error, "WAYBILL_DATABASE") || error.facts.isTransient;
}

/** Nobody's fault: all come again, after a backoff that grows while the disturbance lasts. */
function disturbedAll(engine: Engine, batch: readonly Member[], code: string): readonly BatchEnd[] {
  const { memory, settings } = engine;
  memory.disturbances += 1;
  const afterMs = backoffMs(settings.backoff, memory.disturbances, settings.random);
  return batch.map(({ arrival }) => {
    engine.report({ name: "inbox.retrying", messageId: arrival.id, attempt: 0, afterMs, code });
    return { kind: "again", afterMs, as: "disturbed" };
  });
}
