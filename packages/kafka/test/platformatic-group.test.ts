/** Two libraries in one group: how a service goes from one to the other without a pause. Needs a Node that can run both. */
import { randomUUID } from "node:crypto";
import { type KafkaClientName, kafkaSource } from "@waybill/kafka";
import { testBroker, waitUntil } from "@waybill/testing";
import { expect, test } from "vitest";
import { nodeProblem } from "../src/platformatic/requirements.ts";
import { type Consuming, consuming, sourceEvents } from "./consuming.ts";
import { messagesOf } from "./sample-messages.ts";
import { senderTo } from "./send-records.ts";
import { topicsOf } from "./topics-of.ts";

const clients: readonly KafkaClientName[] = ["kafkajs", "platformatic"];

test.runIf(nodeProblem(process.versions.node) === null).each([clients, clients.toReversed()])(
  "a member on %s and one on %s share a topic's partitions, and the second goes on where the first left",
  { timeout: 180_000 },
  async (first, second) => {
    const topics = await topicsOf((await testBroker("kafka")).url);
    const sender = await senderTo(topics.kafka);
    try {
      const topic = await topics.create({ partitions: 4 });
      const groupId = `both-${randomUUID()}`;
      const make = messagesOf(topic);
      const send = async (): Promise<readonly string[]> => {
        const messages = Array.from({ length: 40 }, () => make());
        await sender.send(topic, messages, (_, place) => place % 4);
        return messages.map(({ id }) => id);
      };
      const join = (client: KafkaClientName): { readonly running: Consuming; readonly events: ReturnType<typeof sourceEvents> } => {
        const events = sourceEvents();
        const times = { sessionTimeoutMs: 6_000, heartbeatMs: 500 };
        const source = kafkaSource({ brokers: topics.addresses, client, groupId, topics: [topic], ...times, onEvent: events.onEvent });
        return { running: consuming(source), events };
      };
      const one = join(first);
      const alone = await send();
      await one.running.until("the first has all", () => one.running.finished.length >= alone.length);
      const other = join(second);
      const shared = (): readonly number[] => [one, other].map(({ events }) => events.of("source.joined").at(-1)?.partitions ?? 0);
      await waitUntil(() => shared().join() === "2,2", { what: "each has two partitions", deadlineMs: 60_000 });
      const both = await send();
      const has = (ids: readonly string[], from: readonly Consuming[]): boolean => {
        const finished = new Set(from.flatMap((running) => running.finished));
        return ids.every((id) => finished.has(id));
      };
      await waitUntil(() => has(both, [one.running, other.running]), { what: "all is handed over", deadlineMs: 60_000 });
      await one.running.end();
      const rest = await send();
      await other.running.until("the second has the rest", () => has(rest, [other.running]));
      await other.running.end();
      expect([one.running.failure(), other.running.failure()]).toEqual([null, null]);
      // What was settled and committed by one is not delivered to the other.
      expect(other.running.finished.filter((id) => alone.includes(id))).toEqual([]);
    } finally {
      await sender.close();
      await topics.close();
    }
  },
);
