/**
 * Producers, one per topic: a client library may let one topic's missing leader or removal fail every send of a producer that ever
 * heard of it. Beyond 32 topics share. A producer whose send ended in anything unexpected is replaced before the next send.
 *
 *     topic ──▶ slot ──▶ producer ──unexpected──▶ leaves: no new sends, closes when those under way have ended
 *                          └─ the next send opens another         └─ at most 3 leave at their leisure; beyond, the oldest is destroyed
 */
import { murmur2 } from "@waybill/core";
import type { KafkaProducer, KafkaProducerClient } from "./producer-client.ts";

const slotsMax = 32;
const leavingMax = 3;

export interface ProducerPool {
  /** The topic's producer, opened when there is none. */
  of(topic: string): KafkaProducer;
  /** Nothing more is sent over this producer. False: it was replaced already. */
  replace(topic: string, producer: KafkaProducer): boolean;
  /** The same for the topic's producer, if it has one. */
  replaceAny(topic: string): void;
  /** Destroys all of them; what is under way settles at once. */
  destroy(): Promise<void>;
}

export function createProducerPool(client: KafkaProducerClient, sendMsMax: number): ProducerPool {
  const slots = new Map<number, KafkaProducer>();
  const slotByTopic = new Map<string, number>();
  const leaving = new Set<KafkaProducer>();

  const slotOf = (topic: string): number => {
    const known = slotByTopic.get(topic);
    if (known !== undefined) return known;
    // Those that came first have one of their own; whoever comes later shares, and is not remembered.
    if (slotByTopic.size >= slotsMax) return (murmur2(Buffer.from(topic)) >>> 0) % slotsMax;
    const slot = slotByTopic.size;
    slotByTopic.set(topic, slot);
    return slot;
  };

  const letGo = (producer: KafkaProducer): void => {
    leaving.add(producer);
    const gone = (): boolean => leaving.delete(producer);
    producer.close({ deadlineMs: sendMsMax }).then(gone, gone);
    for (const oldest of leaving) {
      if (leaving.size <= leavingMax) break;
      leaving.delete(oldest);
      oldest.close({ deadlineMs: 0 }).catch(() => undefined); // a close has nothing to tell: what was under way has settled
    }
  };

  const replace = (topic: string, producer: KafkaProducer): boolean => {
    const slot = slotOf(topic);
    if (slots.get(slot) !== producer) return false;
    slots.delete(slot);
    letGo(producer);
    return true;
  };

  return {
    of(topic) {
      const slot = slotOf(topic);
      const found = slots.get(slot);
      if (found !== undefined) return found;
      const opened = client.producer();
      slots.set(slot, opened);
      return opened;
    },
    replace,
    replaceAny(topic) {
      const producer = slots.get(slotOf(topic));
      if (producer !== undefined) replace(topic, producer);
    },
    async destroy() {
      const all = [...slots.values(), ...leaving];
      slots.clear();
      leaving.clear();
      await Promise.all(all.map((producer) => producer.close({ deadlineMs: 0 })));
    },
  };
}
