/**
 * One consumer object, from its opening to its end. It ends when it is told to, or when it is of no use any more; then another is built.
 *
 *     open ─▶ joining ─▶ joined ─▶ consuming ─▶ rebalancing ─▶ joined ─▶ …        stop: hand over nothing more, let handlers end,
 *                           │          │   └ nothing new; what is settled is          commit, leave the group
 *                           │          │     committed under the old generation     failure: what is settled is committed once more,
 *                           │          └ watched every second                         if that can be done quickly; leave
 *                           └ a new assignment; the old one is forgotten
 *
 * A crash at any arrow leaves messages handled and not committed: they are delivered again, and the inbox knows them.
 */
import { type Clock, emit, type Random, type SourceEvent, type Timer, type WaybillError, waybillError } from "@waybill/core";
import { type Assignment, createAssignment } from "./assignment.ts";
import type { ConsumerClient, ConsumerListener } from "./consumer-client.ts";
import { reasonOf } from "./failure-reason.ts";
import type { HandlerCalls } from "./handler-calls.ts";
import type { KafkaSourceSettings } from "./source-options.ts";
import { type ConsumerView, isLagToBeAsked, watchdogReason } from "./watchdog.ts";

export type SessionEnd =
  | { readonly kind: "stopped" }
  /** `hasProgressed`: something was settled, or it went well for a long time. */
  | { readonly kind: "failed"; readonly reason: string; readonly error: WaybillError; readonly hasProgressed: boolean };

export interface SessionOptions {
  readonly client: ConsumerClient;
  readonly calls: HandlerCalls;
  readonly settings: KafkaSourceSettings;
  readonly clock: Clock;
  readonly random: Random;
  readonly signal: AbortSignal;
  readonly onSettled: () => void;
}

/** An event without what all events of the source have in common. */
type Told = SourceEvent extends infer Event ? (Event extends SourceEvent ? Omit<Event, "system" | "group"> : never) : never;

const watchEveryMs = 1_000;
const closeDeadlineMs = 5_000;
const lastCommitDeadlineMs = 3_000;
/** A topic where nothing happens settles nothing: so long without a failure is progress, too. */
const calmMs = 600_000;
const fetchWaitMs = 500;
const partitionBytesMax = 1_048_576;
const fetchBytesMax = 8_388_608;

export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { client, calls, settings, clock, random, signal } = options;
  const bornMs = clock.monotonicMs();
  let assignment: Assignment | null = null;
  let joiningSinceMs: number | null = bornMs;
  let [fetchedMs, heartbeatMs, settledMs, lagAskedMs] = [bornMs, bornMs, bornMs, bornMs];
  let lagToldMs = bornMs;
  let hasSettled = false;
  let isAskingLag = false;
  const ending = new AbortController();
  let failure: { readonly reason: string; readonly error: WaybillError } | null = null;

  const tell = (event: Told): void => emit(settings.onEvent, { system: "kafka", group: settings.groupId, ...event } as SourceEvent);
  const stop = (): void => ending.abort();
  const fail = (reason: string, error: WaybillError = watchdogError(reason)): void => {
    if (!ending.signal.aborted) failure = { reason, error };
    ending.abort();
  };

  const listener: ConsumerListener = {
    joined(generation) {
      assignment?.end();
      assignment = null;
      if (ending.signal.aborted) return;
      const nowMs = clock.monotonicMs();
      joiningSinceMs = null;
      [fetchedMs, heartbeatMs, settledMs, lagAskedMs] = [nowMs, nowMs, nowMs, nowMs];
      tell({ name: "source.joined", partitions: generation.partitions.length });
      assignment = createAssignment({
        generation,
        calls,
        settings,
        clock,
        random,
        onSettled() {
          settledMs = clock.monotonicMs();
          hasSettled = true;
          options.onSettled();
        },
        onGap({ topic, partition, committed, low, high }) {
          tell({ name: "source.gapFound", topic, partition, committed, low, high });
        },
        onCommitFailed: (reason) => tell({ name: "source.commitFailed", reason }),
      });
    },
    rebalancing() {
      if (assignment === null || joiningSinceMs !== null) return;
      joiningSinceMs = clock.monotonicMs();
      assignment.suspend();
      tell({ name: "source.rebalancing" });
      // On the wire before we join again: those who get our partitions begin behind what is settled here.
      assignment.commitNow(lastCommitDeadlineMs).catch(unreachable);
    },
    received: (handover) => assignment?.received(handover) ?? "refused",
    alive(sign) {
      if (sign === "fetch") fetchedMs = clock.monotonicMs();
      else heartbeatMs = clock.monotonicMs();
    },
    crashed: (error) => fail(reasonOf(error), error),
  };

  const look = (): void => {
    const nowMs = clock.monotonicMs();
    const partitions = assignment?.views(nowMs) ?? [];
    const view: ConsumerView = { nowMs, joiningSinceMs, fetchedMs, heartbeatMs, settledMs, partitions };
    const reason = watchdogReason(view, settings);
    if (reason !== null) return fail(reason);
    if (joiningSinceMs === null && nowMs - lagAskedMs > settings.silenceMs && isLagToBeAsked(view, settings)) askLag(nowMs);
    if (joiningSinceMs === null && nowMs - lagToldMs > settings.silenceMs) tellLag(nowMs);
    watch = clock.setTimer(watchEveryMs, look);
  };
  const tellLag = (nowMs: number): void => {
    lagToldMs = nowMs;
    const asked = assignment;
    asked?.lag().then((messages) => {
      if (messages !== null && asked === assignment && !ending.signal.aborted) tell({ name: "source.lagMeasured", messages });
    }, unreachable);
  };
  const askLag = (nowMs: number): void => {
    if (isAskingLag) return;
    isAskingLag = true;
    lagAskedMs = nowMs;
    const asked = assignment;
    asked?.isLagging().then((isLagging) => {
      isAskingLag = false;
      if (isLagging && asked === assignment && joiningSinceMs === null) fail("nothingDelivered");
    }, unreachable);
  };

  if (signal.aborted) return { kind: "stopped" };
  signal.addEventListener("abort", stop, { once: true });
  // Handlers outlive the session that called them, too.
  calls.offerRoomTo(() => assignment?.handOver());
  let watch: Timer = clock.setTimer(watchEveryMs, look);
  const { groupId, topics, sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs: heartbeatEveryMs } = settings;
  const times = { sessionTimeoutMs, rebalanceTimeoutMs, heartbeatMs: heartbeatEveryMs, fetchWaitMs };
  const consumer = client.open({ groupId, topics, ...times, partitionBytesMax, fetchBytesMax }, listener);
  await aborted(ending.signal);
  signal.removeEventListener("abort", stop);
  watch.cancel();

  const failed = failure as { readonly reason: string; readonly error: WaybillError } | null;
  (assignment as Assignment | null)?.suspend();
  if (failed === null) await calls.quiet(settings.drainDeadlineMs);
  await commitLast(assignment, failed === null ? 2 : 1);
  (assignment as Assignment | null)?.end();
  await consumer.close({ deadlineMs: closeDeadlineMs });
  if (failed === null) return { kind: "stopped" };
  return { kind: "failed", ...failed, hasProgressed: hasSettled || clock.monotonicMs() - bornMs > calmMs };
}

/** A rebalance meanwhile may have made it somebody else's to commit: then there is no assignment any more. */
async function commitLast(assignment: Assignment | null, tries: number): Promise<void> {
  for (let left = tries; left > 0 && assignment !== null; left -= 1) if (await assignment.commitNow(lastCommitDeadlineMs)) return;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

function watchdogError(reason: string): WaybillError<"WAYBILL_TRANSPORT"> {
  const message = `The Kafka consumer makes no progress (${reason}): look at the brokers, and for handlers that never end.`;
  return waybillError("WAYBILL_TRANSPORT", message, { system: "kafka", reason, brokerCode: null });
}

function unreachable(): void {
  // These never reject.
}
