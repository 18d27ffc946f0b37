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
      for (let from = 0; from < messages.length; from += 500) {
        const records = messages.slice(from, from + 500).map((message, place) => {
          const { key, value, headers, timestampMs } = toRecord(message);
          return {
            key: key === null ? null : Buffer.from(key),
            value: value === null ? null : Buffer.from(value),
            headers: Object.fromEntries(headers),
            timestamp: String(timestampMs),
            partition: partitionOf(message, from + place),
          };
        });
        await producer.send({ topic, acks: -1, messages: records });
      }
    },
    close: () => producer.disconnect(),
  };
}
