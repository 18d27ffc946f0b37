/** What is written when deliveries die, in the same transaction: entries in the log, and a notice to the producer, where that is configured. */
import { newToken } from "@waybill/core";
import type { DeadDelivery, DeliveryStore, WriteDead } from "../delivery-store.ts";
import { fingerprintOf } from "../fingerprint.ts";
import type { HalfMessageStore, NewHalfMessage, Request } from "../store.ts";

export interface DeadWriterOptions {
  readonly store: Pick<HalfMessageStore, "judge">;
  readonly deliveries: Pick<DeliveryStore, "logDecisions">;
  /** The destination that is told of a producer's dead deliveries; null: none is. */
  readonly noticeOf: (producer: string) => string | null;
}

/** Of the notice's topic and message type. */
const noticeType = "waybill.delivery.dead.v1";
const noticeTopic = "waybill.delivery.dead";
/** Whose delivery is dead is a notice itself: it makes no further one. */
const noticeId = "waybill-dead-";

export function deadWriter({ store, deliveries, noticeOf }: DeadWriterOptions): WriteDead {
  return async (tx, dead) => {
    await deliveries.logDecisions(
      tx,
      dead.map(({ seq, producer, halfMessageId: id, from, actor, reason }) => {
        return { seq, producer, id, event: "dead", from, to: "dead", actor, reason } as const;
      }),
    );
    const notices = dead.flatMap((one): readonly Request[] => {
      const destination = noticeOf(one.producer);
      return destination === null || one.halfMessageId.startsWith(noticeId) ? [] : [notice(one, destination)];
    });
    // Ids that nobody has: none is refused, and none waits.
    if (notices.length > 0) await store.judge(tx, notices);
  };
}

/** Committed by being stored. Ids and the reason, and nothing of the message. */
function notice(dead: DeadDelivery, destination: string): Request {
  const { producer, halfMessageId, messageId, deliveryId, receiver, attempts, reason } = dead;
  const id = `${noticeId}${newToken()}`;
  const facts = { producer, halfMessageId, messageId, deliveryId, destination: dead.destination, receiver, attempts, reason };
  const payload = Buffer.from(JSON.stringify(facts), "utf8");
  const headers = { "content-type": "application/json" };
  const message = { messageId: id, type: noticeType, topic: noticeTopic, key: null, businessKey: null, delayMs: 0, headers, payload };
  const fingerprint = fingerprintOf({ barrier: null, order: "decision", messages: [{ ...message, receivers: [] }] });
  const body: NewHalfMessage = {
    producer,
    id,
    fingerprint,
    barrier: null,
    orderKey: null,
    traceparent: null,
    preparedBy: "service",
    checkAfterMs: 0,
    suspendAfterMs: 0,
    messages: [{ ...message, destinations: [destination] }],
  };
  const wish = { kind: "commit", fingerprint, mayCreate: true } as const;
  return { producer, id, wish, actor: "service:dead-notice", reason: null, checkNumber: null, body };
}
