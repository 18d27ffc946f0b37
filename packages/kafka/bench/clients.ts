/**
 * `npm run bench -- kafka-clients [--json] [--smoke]`: what the library behind the transport costs. Needs a Node that runs both.
 *
 * publish/throughput   The transport over @platformatic/kafka beside the transport over kafkajs: the same messages – 500 bytes of payload,
 *                      a thousand keys, six partitions –, the same window of two calls with 3 000 messages each, one real broker. Time runs from
 *                      the first call to the last confirmation; connections stand before.
 * publish/cpu          CPU seconds of this process for the same work, kafkajs' divided by platformatic's. The broker's are not in it.
 */
import { newMessageId, type OutgoingMessage } from "@waybill/core";
import { type KafkaClientName, kafkaTransport } from "@waybill/kafka";
import { type BenchmarkResult, benchmarkJson, benchmarkResult, compare, startKafka, timed } from "@waybill/testing";
import { Kafka, logLevel } from "kafkajs";

const isSmoke = process.argv.includes("--smoke");
const isJson = process.argv.includes("--json");
const lanes = 2;
const callsPerLane = isSmoke ? 1 : 20;
const perCall = isSmoke ? 500 : 3_000;
const messages = lanes * callsPerLane * perCall;
const rounds = 3;

const say = (text: string): void => console.error(text);
const payload = Buffer.alloc(500, '{"orderId":"4711","note":"');
const cpuMs: Record<KafkaClientName, number[]> = { kafkajs: [], platformatic: [] };

const kafka = await startKafka({});
try {
  say(`publishing ${messages} messages, ${rounds} rounds`);
  const throughput = await compare({
    name: "publish/throughput",
    target: 1,
    rounds,
    ours: () => publish("platformatic"),
    bare: () => publish("kafkajs"),
    onRound({ oursMs, bareMs }) {
      const told = (client: KafkaClientName, ms: number): string =>
        `${client} ${Math.round(messages / ms)} k messages/s, ${((cpuMs[client].at(-1) ?? 0) / 1_000).toFixed(2)} s of CPU`;
      say(`  ${told("platformatic", oursMs)}; ${told("kafkajs", bareMs)}`);
    },
  });
  // The first of each was the round that does not count.
  const [ours, bare] = [cpuMs.platformatic.slice(1), cpuMs.kafkajs.slice(1)];
  const cpu = benchmarkResult(
    "publish/cpu",
    ours.map((ms, round) => (bare[round] ?? 0) / ms),
    1,
  );
  const results: readonly BenchmarkResult[] = [throughput, cpu];
  for (const { name, ratio, min, max, target, met } of results)
    say(`${name}: ${ratio} (${min}–${max}), target ${target}: ${met ? "met" : "missed"}`);
  if (isJson) console.log(benchmarkJson("kafka-clients", results));
} finally {
  await kafka.stop();
}

/** Milliseconds for all messages, into a topic of their own. */
async function publish(client: KafkaClientName): Promise<number> {
  const topic = await newTopic(`bench-${newMessageId()}`);
  const transport = kafkaTransport({ brokers: kafka.addresses, client });
  const calls = Array.from({ length: lanes }, (_, lane) =>
    Array.from({ length: callsPerLane }, () => Array.from({ length: perCall }, (_each, place) => message(topic, lane, place))),
  );
  const confirm = async (batch: readonly OutgoingMessage[]): Promise<void> => {
    const outcomes = await transport.publish(batch, { deadlineMs: 60_000 });
    const other = outcomes.find(({ kind }) => kind !== "confirmed");
    if (other !== undefined) throw new Error(`a message over ${client} was not confirmed, but ${other.kind}`);
  };
  try {
    await confirm(Array.from({ length: 64 }, (_, place) => message(topic, 0, place)));
    const before = process.cpuUsage();
    const ms = await timed(() =>
      Promise.all(
        calls.map(async (ofLane) => {
          for (const batch of ofLane) await confirm(batch);
        }),
      ),
    );
    const { user, system } = process.cpuUsage(before);
    cpuMs[client].push((user + system) / 1_000);
    return ms;
  } finally {
    await transport.close({ deadlineMs: 5_000 });
  }
}

/** Each lane has keys of its own, as a relay's have. */
function message(topic: string, lane: number, place: number): OutgoingMessage {
  return {
    id: newMessageId(),
    type: "shop.order.placed.v1",
    topic,
    key: `order-${lane}-${place % (1_000 / lanes)}`,
    headers: new Map([
      ["ce-source", "/order-service"],
      ["content-type", "application/json"],
    ]),
    payload,
    sequence: BigInt(place),
    createdAtMs: Date.now(),
  };
}

async function newTopic(topic: string): Promise<string> {
  const admin = new Kafka({ brokers: [...kafka.addresses], logLevel: logLevel.NOTHING }).admin();
  await admin.connect();
  await admin.createTopics({ topics: [{ topic, numPartitions: 6, replicationFactor: 1 }], waitForLeaders: false });
  for (let left = 300; ; left -= 1) {
    const isThere = await admin.fetchTopicOffsets(topic).then(
      ({ length }) => length === 6,
      () => false,
    );
    if (isThere) break;
    if (left === 0) throw new Error("the topic's leaders do not answer");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await admin.disconnect();
  return topic;
}
