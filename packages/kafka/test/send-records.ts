import type { OutgoingMessage } from "@waybill/core";
import type { Kafka, Producer } from "kafkajs";
import { toRecord } from "../src/binary-mode.ts";

export interface Sender {
  /** Writes messages into a topic, whatever topic they name, each into the partition that `partitionOf` says. Confirmed by all replicas. */
  send(
    topic: string,
    messages: readonly OutgoingMessage[],
    partitionOf?: (message: OutgoingMessage, place: number) => number,
  ): Promise<void>;
  close(): Promise<void>;
}

/** A producer that puts records where a test wants them, as our transport writes them. */
export async function senderTo(kafka: Kafka): Promise<Sender> {
  const producer: Producer = kafka.producer({
    allowAutoTopicCreation: false,
    createPartitioner:
      () =>
      ({ message }) =>
        message.partition ?? 0,
  });
  await producer.connect();
  return {
    async send(topic, messages, partitionOf = () => 0) {
      let batch: ReturnType<typeof recordOf>[] = [];
      let bytes = 0;
      for (const [place, message] of messages.entries()) {
        const record = recordOf(message, partitionOf(message, place));
        const size = record.value?.length ?? 0;
        if (batch.length === 500 || bytes + size > 500_000) {
          if (batch.length > 0) await producer.send({ topic, acks: -1, messages: batch });
          [batch, bytes] = [[], 0];
        }
        batch.push(record);
        bytes += size;
      }
      if (batch.length > 0) await producer.send({ topic, acks: -1, messages: batch });
    },
    close: () => producer.disconnect(),
  };
}

function recordOf(
  message: OutgoingMessage,
  partition: number,
): {
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: Record<string, string>;
  readonly timestamp: string;
  readonly partition: number;
} {
  const record = toRecord(message);
  if ("problem" in record) throw new Error(`The message cannot be a record: ${String(record.problem)}.`);
  const { key, value, headers, timestampMs } = record;
  return {
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    headers: Object.fromEntries(headers),
    timestamp: String(timestampMs),
    partition,
  };
}
