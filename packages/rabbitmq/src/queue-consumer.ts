/**
 * The consumer of one queue, for as long as its source consumes: one channel after the other.
 *
 *     waiting for the link ──▶ topology ──▶ channel, prefetch, consume ──▶ consuming ──▶ ended ──▶ backoff ──▶ again, from the left
 *                                                                             │
 *                                                                     told to stop ──▶ nothing is handed over any more; what is with
 *                                                                     the handler ends and is acked; the channel closes
 *
 * When a channel ends, everything of it that is not with the handler is forgotten, and what the handler says about the rest settles
 * nothing. All of it comes again, marked as redelivered; the lanes keep a repetition behind the handler that is still at the message.
 *
 * Two watches, for an end that nobody reports: messages are ready and we have room, yet nothing comes; and something is with the
 * handler, yet nothing ends. Both begin again with a new channel; the second gives up if that does not help.
 */
import {
  type BackoffPolicy,
  backoffMs,
  type Clock,
  type HandleDeliveries,
  type Random,
  type ReceivedMessage,
  type SourceEvent,
  wait,
  waybillError,
} from "@waybill/core";
import { fromDelivery } from "./binary-mode.ts";
import type { BrokerConnection } from "./connection.ts";
import { type ConsumerChannel, type ConsumerEnd, openConsumer } from "./consumer-channel.ts";
import { createDeliveryLanes } from "./delivery-lanes.ts";
import type { DriverDelivery } from "./driver.ts";
import type { HandlerLine } from "./handler-line.ts";
import type { Link } from "./link.ts";
import { applyTopology, deliveryLimitNever, type RabbitmqQueue, type TopologyMode } from "./topology.ts";

export interface QueueConsumer {
  /** Deliveries that are held here, and their bytes. */
  readonly held: number;
  readonly bytesHeld: number;
  /** Begins again with half the prefetch: too much is held. What is not with the handler goes back. */
  shrink(): void;
  /** Consumes until `stop` aborts, then lets what is with the handler end. Rejects when only somebody else can help. */
  run(stop: AbortSignal): Promise<void>;
}

export interface QueueConsumerOptions {
  readonly queue: RabbitmqQueue;
  readonly topology: TopologyMode;
  readonly connection: BrokerConnection;
  readonly handle: HandleDeliveries;
  /** Of all queues of the source. */
  readonly line: HandlerLine;
  readonly prefetch: number;
  readonly consumerName: string;
  readonly handlerDeadlineMs: number;
  readonly nothingDeliveredMs: number;
  readonly stopDeadlineMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly report: (step: SourceStep) => void;
  /** Told after each delivery was taken. */
  readonly onTaken: () => void;
}

export type SourceStep = SourceEvent extends infer Event ? (Event extends SourceEvent ? Omit<Event, "system" | "group"> : never) : never;

const backoff: BackoffPolicy = { firstMs: 200, maxMs: 30_000 };

/** For one answer of the broker's. */
const callDeadlineMs = 10_000;
const closeDeadlineMs = 2_000;

/** What a delivery takes beside its payload: its headers and our own notes, by a generous guess. */
const overheadBytes = 2_048;

/** RabbitMQ deletes a message of a quorum queue after so many deliveries, from 4.0 on, unless the queue says otherwise. */
const deliveryLimitDefault = 20;

/** How much longer than an active consumer one may wait for its first delivery that may be a stand-in: another is the active one. */
const standInPatience = 10;

/** Between looks whether handlers have ended. */
const lookAgainMs = 20;

/** Ends of our own that are no fault of anything: the next channel is opened at once. */
const plannedEnds: ReadonlySet<string> = new Set(["prefetchReduced"]);

export function createQueueConsumer(options: QueueConsumerOptions): QueueConsumer {
  const { queue, topology, connection, clock, random, report } = options;
  const stuckMs = 2 * options.handlerDeadlineMs;
  const watchMs = Math.max(10, Math.min(options.nothingDeliveredMs / 3, stuckMs / 4));
  const limit = topology === "ensure" ? deliveryLimitNever : (queue.deliveryLimit ?? deliveryLimitDefault);
  const lanes = createDeliveryLanes(options.handle, clock, options.line);
  let channel: ConsumerChannel | null = null;
  let { prefetch } = options;
  let channels = 0;
  let failures = 0;
  let held = 0;
  let bytesHeld = 0;

  const take = (delivered: DriverDelivery, from: ConsumerChannel): void => {
    const deliveries = deliveryCount(delivered);
    const message = fromDelivery(delivered);
    if (deliveries * 4 >= limit) report({ name: "source.redeliveredOften", messageId: message.id, deliveries, limit });
    const bytes = delivered.content.byteLength + overheadBytes;
    held += 1;
    bytesHeld += bytes;
    lanes.add({
      delivery: {
        message,
        redelivered: delivered.fields.redelivered || deliveries > 0,
        // With a quarter of them left: a lost connection costs everything that is held one delivery, and there may be some before this
        // message has its turn.
        isLastChance: deliveries * 4 >= limit * 3,
      },
      lane: laneOf(message),
      isCurrent: () => from.isOpen,
      onSettled: ({ kind }) => {
        if (kind === "done") settle(delivered, from);
      },
      onGone: () => {
        held -= 1;
        bytesHeld -= bytes;
      },
    });
    options.onTaken();
  };

  const settle = (delivered: DriverDelivery, on: ConsumerChannel): void => {
    on.settle(delivered);
    if (failures === 0) return;
    failures = 0;
    report({ name: "source.recovered" });
  };

  /** A channel that consumes, or when to try again. */
  const open = async (link: Link): Promise<ConsumerChannel | { readonly afterMs: number }> => {
    const applied = await applyTopology(link, { exchanges: [], queues: [queue] }, topology, callDeadlineMs);
    if (applied !== null) {
      if (applied.kind === "refused" && channels === 0) throw applied.error;
      return { afterMs: rebuild(applied.failure) };
    }
    const consumerTag = `${options.consumerName}.${channels + 1}`;
    const opened = await openConsumer({
      link,
      queue: queue.name,
      prefetch,
      consumerTag,
      clock,
      deadlineMs: callDeadlineMs,
      onDelivery: take,
    });
    if (opened.kind === "failed") {
      if (!opened.isLinkLost && opened.end.brokerCode !== null && channels === 0)
        throw consumeRefused(queue.name, opened.end, opened.cause);
      // Also where the link was lost: RabbitMQ closes the connection (541) of whoever consumes a queue that has lost its server, and the
      // neighbours need the time in between.
      return { afterMs: rebuild(opened.end) };
    }
    channels += 1;
    return opened.channel;
  };

  const rebuild = ({ reason, brokerCode }: ConsumerEnd): number => {
    failures += 1;
    const afterMs = backoffMs(backoff, failures, random);
    report({ name: "source.rebuilding", reason: brokerCode === null ? reason : `${reason}.${brokerCode}`, attempt: failures, afterMs });
    return afterMs;
  };

  /** Until this channel has ended: looks whether it moves. Rejects when a new channel did not help. */
  const watch = async (watched: ConsumerChannel, over: AbortSignal): Promise<void> => {
    let readySinceMs: number | null = null;
    let lagAskedMs = watched.openedMs;
    while (await wait(clock, watchMs, over)) {
      const quietMs = lanes.quietSinceMs === null ? 0 : clock.monotonicMs() - lanes.quietSinceMs;
      if (quietMs >= 2 * stuckMs) throw handlerStuck(queue.name, quietMs);
      if (quietMs >= stuckMs && clock.monotonicMs() - watched.openedMs >= stuckMs) return watched.end("handlerStuck");
      const idleMs = clock.monotonicMs() - watched.deliveredMs;
      const isIdle = idleMs >= watchMs && watched.unsettled < prefetch;
      if (!isIdle) readySinceMs = null;
      const isLagDue = clock.monotonicMs() - lagAskedMs >= options.nothingDeliveredMs;
      if (!isIdle && !isLagDue) continue;
      const looked = await watched.look(callDeadlineMs);
      if (looked === null) {
        if (isIdle) return watched.end("noAnswer"); // unless the channel has ended already
        continue;
      }
      if (isLagDue) {
        lagAskedMs = clock.monotonicMs();
        report({ name: "source.lagMeasured", messages: looked.ready + watched.unsettled });
      }
      if (!isIdle) continue;
      if (looked.ready === 0) {
        readySinceMs = null;
        continue;
      }
      readySinceMs ??= clock.monotonicMs();
      if (watched.deliveredMs > readySinceMs) readySinceMs = null;
      else if (clock.monotonicMs() - readySinceMs >= patienceMs(watched)) return watched.end("nothingDelivered");
    }
  };

  /** The broker does not say who is the active consumer of a queue; one that was delivered something is. */
  const patienceMs = ({ hasDelivered }: ConsumerChannel): number => {
    const mayStandIn = !hasDelivered && (topology !== "ensure" || queue.isKeyed !== false);
    return options.nothingDeliveredMs * (mayStandIn ? standInPatience : 1);
  };

  /** What ended a channel, reported; answers how long to wait before the next. */
  const afterEnd = async (gone: ConsumerChannel, end: ConsumerEnd, isLinkLost: boolean): Promise<number> => {
    const { unsettled, heldMs } = gone;
    if (isLinkLost || plannedEnds.has(end.reason)) return 0;
    // A queue that is still there did not cancel its consumer for nothing: a delivery was not settled within the broker's time.
    const isCancelled = end.reason === "cancelled" && (await gone.look(callDeadlineMs)) !== null;
    if (unsettled === 0 || !(isCancelled || end.brokerCode === "406")) return rebuild(end);
    failures += 1;
    const afterMs = backoffMs(backoff, failures, random);
    report({ name: "source.consumerTimedOut", unsettled, heldMs: Math.round(heldMs), afterMs });
    return afterMs;
  };

  const consumeOnce = async (link: Link, stop: AbortSignal): Promise<void> => {
    const opened = await open(link);
    if ("afterMs" in opened) return void (await wait(clock, opened.afterMs, stop));
    channel = opened;
    report({ name: "source.joined", partitions: 1 });
    const over = new AbortController();
    const onStop = (): void => over.abort();
    stop.addEventListener("abort", onStop, { once: true });
    const ended = opened.ended.then((end) => {
      over.abort();
      return end;
    });
    try {
      if (stop.aborted) return;
      await watch(opened, over.signal);
      if (stop.aborted && opened.isOpen) return;
      const end = await ended;
      lanes.forget();
      const afterMs = await afterEnd(opened, end, !link.isOpen);
      await opened.close(closeDeadlineMs);
      await wait(clock, afterMs, stop);
      if (end.reason === "prefetchReduced") await untilMostIsGone(stop);
    } finally {
      stop.removeEventListener("abort", onStop);
    }
  };

  /**
   * What is with the handler cannot be given back. Begun before most of it has ended, the next channel would have too much at once again,
   * and so on, down to one message at a time for ever.
   */
  const untilMostIsGone = async (stop: AbortSignal): Promise<void> => {
    const untilMs = clock.monotonicMs() + stuckMs;
    const mostBytes = bytesHeld / 4;
    while (bytesHeld > mostBytes && clock.monotonicMs() < untilMs && (await wait(clock, lookAgainMs, stop)));
  };

  const finish = async (deadlineMs: number): Promise<void> => {
    await lanes.stop(deadlineMs);
    await channel?.close(closeDeadlineMs);
    lanes.forget();
    report({ name: "source.stopped" });
  };

  return {
    get held() {
      return held;
    },
    get bytesHeld() {
      return bytesHeld;
    },
    shrink() {
      if (channel === null || !channel.isOpen || prefetch === 1) return;
      prefetch = Math.max(1, Math.floor(Math.min(prefetch, held) / 2));
      report({ name: "source.prefetchReduced", prefetch });
      channel.end("prefetchReduced");
    },
    async run(stop) {
      try {
        while (!stop.aborted) {
          const link = await linkOf(connection, clock, stop);
          if (link !== null) await consumeOnce(link, stop);
        }
      } catch (error) {
        await finish(0);
        throw error;
      }
      await finish(options.stopDeadlineMs);
    },
  };
}

/** Reasons that waiting does not mend. */
const refusals: ReadonlySet<string> = new Set(["accessRefused", "vhostRefused", "tlsRefused", "driverMissing"]);

/** The link, as soon as there is one; null: it was told to stop, or nobody knows yet. */
async function linkOf(connection: BrokerConnection, clock: Clock, stop: AbortSignal): Promise<Link | null> {
  const connected = await connection.connect(callDeadlineMs);
  if (connected.kind === "ready") return connected.link;
  const { reason, brokerCode, cause } = connected.failure;
  if (refusals.has(reason))
    throw waybillError(
      "WAYBILL_TRANSPORT",
      `RabbitMQ does not let the source in (${reason}): see to its URL, credentials and TLS options.`,
      { system: "rabbitmq", reason, brokerCode },
      cause,
    );
  await wait(clock, connected.afterMs, stop);
  return null;
}

function consumeRefused(queue: string, { reason, brokerCode }: ConsumerEnd, cause: unknown): Error {
  const what = brokerCode === "404" ? "does not exist" : brokerCode === "403" ? "may not be read by this user" : "cannot be consumed";
  return waybillError("WAYBILL_TRANSPORT", `RabbitMQ queue ${queue} ${what}.`, { system: "rabbitmq", reason, brokerCode }, cause);
}

function handlerStuck(queue: string, quietMs: number): Error {
  return waybillError(
    "WAYBILL_TRANSPORT",
    `Nothing that was taken from RabbitMQ queue ${queue} has ended for ${Math.round(quietMs / 1_000)} s: whoever handles it hangs. Restart it.`,
    { system: "rabbitmq", reason: "handlerStuck", brokerCode: null },
  );
}

/** How often the message was delivered before, as quorum queues count; classic ones do not. */
function deliveryCount({ properties: { headers } }: DriverDelivery): number {
  const counted: unknown = headers !== undefined && Object.hasOwn(headers, "x-delivery-count") ? headers["x-delivery-count"] : 0;
  return typeof counted === "number" && counted > 0 ? counted : 0;
}

function laneOf({ topic, key }: ReceivedMessage): string | null {
  return key === null ? null : `${topic ?? ""}\u0000${key}`;
}
