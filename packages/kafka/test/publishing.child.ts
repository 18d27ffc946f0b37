/**
 * Publishes without pause and tells what was confirmed. SIGTERM closes the transport, and then nothing may keep the process: it ends by
 * itself or not at all.
 */
import { newMessageId, type OutgoingMessage } from "@waybill/core";
import { type KafkaClientName, kafkaTransport } from "@waybill/kafka";
import { tellParent } from "@waybill/testing";

const { BROKERS = "", TOPIC = "", CLIENT = "kafkajs" } = process.env;
const transport = kafkaTransport({ brokers: BROKERS.split(","), client: CLIENT as KafkaClientName });
let isOver = false;
process.once("SIGTERM", () => {
  isOver = true;
  transport.close({ deadlineMs: 5_000 }).catch((error: unknown) => tellParent({ name: "closeFailed", error: String(error) }));
});

let sequence = 0n;
const message = (): OutgoingMessage => ({
  id: newMessageId(),
  type: "kafka.sample.v1",
  topic: TOPIC,
  key: `key ${sequence % 9n}`,
  headers: new Map([["ce-source", "/kafka"]]),
  payload: Buffer.from(String((sequence += 1n))),
  sequence,
  createdAtMs: Date.now(),
});

async function publishOn(): Promise<void> {
  while (!isOver) {
    const batch = Array.from({ length: 30 }, message);
    const outcomes = await transport.publish(batch, { deadlineMs: 10_000 });
    const ids = batch.filter((_, index) => outcomes[index]?.kind === "confirmed").map(({ id }) => id);
    if (ids.length > 0) tellParent({ name: "confirmed", ids });
  }
}

await Promise.all([publishOn(), publishOn()]);
