/**
 * R48. Kafka brokers that answer a produce request badly: not at all, with an error although they stored it, without the partition that was asked about, or
 * with an answer that breaks off at any byte. Nothing of it counts as stored, everything is published again, and the keys keep their order.
 */
import { digest, type Received } from "@waybill/auditor";
import { type FakeProduceAnswer, startFakeKafka, waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { scenario } from "../scenario.ts";

/** Of a response to one partition, roughly: the header, the topic's name, and what follows it. */
const responseBytes = 60;
const topic = "orders";

/** As Kafka's protocol has them. */
const codes = { notLeader: 6, requestTimedOut: 7, notEnoughReplicasAfterAppend: 20, outOfOrderSequence: 45, storageError: 56 } as const;

interface Ill {
  readonly kind: string;
  readonly answer: FakeProduceAnswer;
}

const without: readonly Ill[] = [
  { kind: "no answer, stored", answer: { silent: true, stores: true } },
  { kind: "no answer, not stored", answer: { silent: true } },
  { kind: "the partition is missing", answer: { leftOut: true } },
  { kind: "timed out, stored", answer: { code: codes.requestTimedOut, stores: true } },
  { kind: "too few replicas, stored", answer: { code: codes.notEnoughReplicasAfterAppend, stores: true } },
  { kind: "sequence out of order", answer: { code: codes.outOfOrderSequence } },
  { kind: "another leads", answer: { code: codes.notLeader } },
  { kind: "storage error, stored", answer: { code: codes.storageError, stores: true } },
];

export const produceUnanswered = scenario({
  code: "R48",
  title: "a produce request that is answered badly, or not to the end, is published again, and keys keep their order",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["kafka", "rabbitmq"],
  scaled: { bytesEvery: 12, repeats: 1, messagesEach: 20, keys: 12, deadlineMs: 1_500 },
  full: { bytesEvery: 1, repeats: 3, messagesEach: 100, keys: 50, deadlineMs: 1_500 },
  async play(rig, { bytesEvery, repeats, messagesEach, keys, deadlineMs }) {
    const breaks = Array.from({ length: Math.ceil(responseBytes / bytesEvery) }, (_, nth) => nth * bytesEvery);
    const ills: readonly Ill[] = [
      ...without,
      ...breaks.map((breaksOffAfter) => ({
        kind: `breaks off after ${breaksOffAfter}`,
        answer: { breaksOffAfter, stores: true } as const,
      })),
    ];
    let armed: Ill | null = null;
    const met = new Map<string, number>();
    const fake = await startFakeKafka({
      topics: { [topic]: [0, 1, 2, 0] },
      onProduce() {
        if (armed === null) return "store";
        const { kind, answer } = armed;
        armed = null;
        met.set(kind, (met.get(kind) ?? 0) + 1);
        return answer;
      },
    });
    rig.defer(() => fake.stop());
    const received = (): readonly Received[] =>
      fake.stored.flatMap(({ records }) =>
        records.map(({ key, value, headers }) => ({
          subscription: "default",
          messageId: headers.get("ce_id") ?? "none",
          payloadDigest: digest(value),
          topic,
          key,
        })),
      );
    const relayArgs = ["--publish-deadline-ms", String(deadlineMs), "--topic-backoff-max-ms", "300", "--outage-backoff-max-ms", "300"];
    const delivery = await openDelivery(rig, {
      transport: `kafka://${fake.addresses.join(",")}`,
      relayArgs: [...relayArgs, "--message-backoff-max-ms", "300", "--attempts-max", "1000"],
      received,
    });
    await delivery.relay.start();
    const arrive = async (ids: readonly string[], what: string): Promise<void> => {
      const isThere = (): boolean => {
        const there = new Set(received().map(({ messageId }) => messageId));
        return ids.every((id) => there.has(id));
      };
      await waitUntil(() => isThere() || rig.signal.aborted, { what, deadlineMs: 60_000, intervalMs: 50 });
    };
    const write = (): Promise<readonly string[]> =>
      delivery.write(Array.from({ length: messagesEach }, (_, index) => ({ topic, key: `key-${index % keys}` })));
    await arrive(await write(), "the relay is at work");
    for (const ill of Array.from({ length: repeats }, () => ills).flat()) {
      if (rig.signal.aborted) break;
      armed = ill;
      await arrive(await write(), `all arrive after: ${ill.kind}`);
    }
    for (const { kind } of ills) rig.fault(kind, (met.get(kind) ?? 0) > 0);
    rig.effort("kinds of bad answers that were met", met.size, ills.length);
    const replaced = delivery.told.filter(({ event }) => event["name"] === "kafka.producerReplaced").length;
    rig.effort("producers that were replaced", replaced, 1);
    await delivery.isQuiet();
    const { received: all } = await delivery.end();
    rig.effort("messages published again", all.length - new Set(all.map(({ messageId }) => messageId)).size, ills.length / 2);
    rig.demand(
      "a record was sent without waiting for all replicas",
      fake.asked.every(({ acks }) => acks === -1),
    );
  },
});
