/**
 * One channel with one consumer: what it was delivered, and the acks for that.
 *
 *     opened ──▶ consuming ─────────────────────────────▶ ended, once
 *                    │ deliveries, settlements, acks         │ the channel or its link is gone: a consumer timeout up to 4.2, a lost connection
 *                    │                                       │ the broker cancelled the consumer (`null`): timeout from 4.3 on, queue deleted
 *                    ▼                                       │ we end it: nothing moves any more, or too much is held
 *                 closed: what is not settled goes back, in order, in one step
 *
 * - A delivery belongs to the channel object it came from. When that has ended nothing of it is acked any more: the broker has put
 *   everything back, and an ack for it would close whatever channel has its number now (A12).
 * - There is one consumer per channel, ever. After the broker has cancelled it, the rest of the channel is closed and never reused: a
 *   `multiple` on it could cover deliveries of the cancelled consumer.
 * - Closing is also how everything is given back. A `reject` for each would hand them back in the order of the rejects, and to
 *   ourselves, as long as we are the consumer; a cancel before it makes another consumer the active one while this one still works.
 */
import type { Clock } from "@waybill/core";
import { createAckWindow } from "./ack-window.ts";
import type { DriverDelivery } from "./driver.ts";
import type { Link, LinkChannel } from "./link.ts";

/** Why a consumer ended. `cancelled`: by the broker; the others are ours, or the channel's. */
export interface ConsumerEnd {
  readonly reason: string;
  readonly brokerCode: string | null;
}

export interface ConsumerChannel {
  readonly openedMs: number;
  readonly prefetch: number;
  readonly isOpen: boolean;
  /** Deliveries that are not settled. */
  readonly unsettled: number;
  /** How long the oldest of them has been here; 0 if there is none. */
  readonly heldMs: number;
  /** The moment of the last delivery, or of the opening. */
  readonly deliveredMs: number;
  readonly hasDelivered: boolean;
  readonly ended: Promise<ConsumerEnd>;
  /** Settles a delivery: an ack goes out with the others of this turn of the event loop. */
  settle(delivery: DriverDelivery): void;
  /** Messages that are ready in the queue, and its consumers as the broker counts them; null if it did not say. */
  look(deadlineMs: number): Promise<{ readonly ready: number; readonly consumers: number } | null>;
  end(reason: string): void;
  /** Sends the acks that are due and closes the channel; what is unsettled goes back. */
  close(deadlineMs: number): Promise<void>;
}

export type Consuming =
  | { readonly kind: "consuming"; readonly channel: ConsumerChannel }
  | { readonly kind: "failed"; readonly end: ConsumerEnd; readonly isLinkLost: boolean; readonly cause: unknown };

export interface ConsumeOptions {
  readonly link: Link;
  readonly queue: string;
  readonly prefetch: number;
  readonly consumerTag: string;
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly onDelivery: (delivery: DriverDelivery, channel: ConsumerChannel) => void;
}

interface Received {
  readonly delivery: DriverDelivery;
  readonly atMs: number;
}

/** Opens a channel and consumes. Never rejects. */
export async function openConsumer(options: ConsumeOptions): Promise<Consuming> {
  const { link, queue, prefetch, consumerTag, deadlineMs } = options;
  const opened = await link.openChannel(deadlineMs);
  if (opened.kind === "failed") return failed(opened.failure);
  const consumer = consumerOf(opened.value, options);
  for (const step of [
    () => opened.value.call((driver) => driver.prefetch(prefetch, false), deadlineMs),
    () => opened.value.call((driver) => driver.consume(queue, consumer.take, { consumerTag, noAck: false }), deadlineMs),
  ]) {
    const called = await step();
    if (called.kind === "done") continue;
    consumer.channel.end("failed");
    await opened.value.close(deadlineMs);
    return failed(called.failure);
  }
  return { kind: "consuming", channel: consumer.channel };
}

function failed(failure: ConsumerEnd & { readonly isLinkLost: boolean; readonly cause: unknown }): Consuming {
  const { reason, brokerCode, isLinkLost, cause } = failure;
  return { kind: "failed", end: { reason, brokerCode }, isLinkLost, cause };
}

function consumerOf(
  open: LinkChannel,
  { queue, prefetch, clock, onDelivery }: ConsumeOptions,
): { readonly channel: ConsumerChannel; readonly take: (delivery: DriverDelivery | null) => void } {
  const openedMs = clock.monotonicMs();
  const window = createAckWindow<Received>();
  let deliveredMs = openedMs;
  let hasDelivered = false;
  let isOver = false;
  let isFlushDue = false;
  let resolveEnded: (end: ConsumerEnd) => void = () => undefined;
  const ended = new Promise<ConsumerEnd>((resolve) => {
    resolveEnded = resolve;
  });

  const finish = (end: ConsumerEnd): void => {
    isOver = true;
    resolveEnded(end);
  };
  open.onEnd(({ reason, brokerCode }) => finish({ reason, brokerCode }));

  const flush = (): void => {
    isFlushDue = false;
    if (isOver || !open.isOpen) return;
    try {
      for (const { delivery, allUpTo } of window.take()) open.driver.ack(delivery.delivery, allUpTo);
    } catch {
      finish({ reason: "channelClosed", brokerCode: null }); // closed in this very moment; nothing of it counts any more
    }
  };

  const channel: ConsumerChannel = {
    openedMs,
    prefetch,
    get isOpen() {
      return !isOver;
    },
    get unsettled() {
      return window.unsettled;
    },
    get heldMs() {
      return window.oldest === null ? 0 : clock.monotonicMs() - window.oldest.atMs;
    },
    get deliveredMs() {
      return deliveredMs;
    },
    get hasDelivered() {
      return hasDelivered;
    },
    ended,
    settle(delivery) {
      if (isOver) return;
      window.settle(delivery.fields.deliveryTag);
      if (isFlushDue) return;
      isFlushDue = true;
      queueMicrotask(flush);
    },
    async look(deadlineMs) {
      const looked = await open.call((driver) => driver.checkQueue(queue), deadlineMs);
      return looked.kind === "done" ? { ready: looked.value.messageCount, consumers: looked.value.consumerCount } : null;
    },
    end: (reason) => finish({ reason, brokerCode: null }),
    async close(deadlineMs) {
      flush();
      finish({ reason: "closed", brokerCode: null });
      await open.close(deadlineMs);
    },
  };

  /** The driver's callback. What it throws would close the channel without a word (A13), so nothing leaves it. */
  const take = (delivery: DriverDelivery | null): void => {
    if (isOver) return;
    if (delivery === null) return finish({ reason: "cancelled", brokerCode: null });
    try {
      deliveredMs = clock.monotonicMs();
      hasDelivered = true;
      window.add(delivery.fields.deliveryTag, { delivery, atMs: deliveredMs });
      onDelivery(delivery, channel);
    } catch {
      finish({ reason: "deliveryFailed", brokerCode: null });
    }
  };
  return { channel, take };
}
