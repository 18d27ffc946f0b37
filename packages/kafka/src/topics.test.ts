import { manualClock } from "@waybill/testing";
import { expect, test } from "vitest";
import { notSent } from "./outcome.ts";
import type { KafkaProducerClient, KafkaTopicDescription } from "./producer-client.ts";
import { createTopics, type TopicAnswer } from "./topics.ts";

function topicsWith(answers: KafkaTopicDescription[]): {
  readonly clock: ReturnType<typeof manualClock>;
  readonly topics: ReturnType<typeof createTopics>;
  readonly asked: string[];
  readonly changes: unknown[];
} {
  const clock = manualClock();
  const asked: string[] = [];
  const changes: unknown[] = [];
  const client: KafkaProducerClient = {
    describeTopic(topic) {
      asked.push(topic);
      const next = answers.length > 1 ? answers.shift() : answers[0];
      return Promise.resolve(next as KafkaTopicDescription);
    },
    producer: () => {
      throw new Error("nobody sends here");
    },
    close: () => Promise.resolve(),
  };
  // The longest backoff every time.
  const random = { fraction: () => 0.999 };
  const topics = createTopics({ client, clock, random, onChange: (...change) => void changes.push(change) });
  return { clock, topics, asked, changes };
}

function told(answer: TopicAnswer): unknown {
  if (answer.kind === "found") return answer.partitions;
  const { outcome } = answer;
  return outcome.kind === "retry" ? `${outcome.scope} ${outcome.error.facts.reason} after ${outcome.afterMs ?? 0}` : outcome.kind;
}

test("a topic is asked about once for all who want to know, and again after a minute", async () => {
  const { clock, topics, asked } = topicsWith([{ kind: "found", partitions: 3 }]);
  expect((await Promise.all([topics.ask("a", 100), topics.ask("a", 100)])).map(told)).toEqual([3, 3]);
  expect(asked.length).toBe(1);
  await clock.advance(59_000);
  await topics.ask("a", 100);
  expect(asked.length).toBe(1);
  await clock.advance(2_000);
  await topics.ask("a", 100);
  expect(asked.length).toBe(2);
});

test("more partitions, or none any more, are told", async () => {
  const { topics, changes } = topicsWith([
    { kind: "found", partitions: 2 },
    { kind: "found", partitions: 6 },
    { kind: "refused", code: 3 },
  ]);
  await topics.ask("a", 100);
  topics.doubt("a");
  expect(told(await topics.ask("a", 100))).toBe(6);
  topics.doubt("a");
  await topics.ask("a", 100);
  expect(changes).toEqual([
    ["a", 2, 6],
    ["a", 6, null],
  ]);
});

test("a missing topic is asked about again after 100 ms, doubling to 5 s, and answered at once meanwhile", async () => {
  const { clock, topics, asked } = topicsWith([{ kind: "refused", code: 3 }]);
  const waits: unknown[] = [];
  for (let turn = 0; turn < 8; turn += 1) {
    const answer = await topics.ask("a", 100);
    waits.push(told(answer));
    await topics.ask("a", 100);
    expect(asked.length).toBe(turn + 1);
    await clock.advance(answer.kind === "failed" && answer.outcome.kind === "retry" ? (answer.outcome.afterMs ?? 0) : 0);
  }
  expect(waits.map((wait) => Number(String(wait).split(" ").at(-1)))).toEqual([100, 200, 400, 799, 1_598, 3_197, 4_995, 4_995]);
});

test("when no broker answers nobody is asked about any topic until the backoff is over", async () => {
  const { clock, topics, asked } = topicsWith([{ kind: "unreachable", reason: "unreachable" }]);
  expect(told(await topics.ask("a", 100))).toBe("transport unreachable after 0");
  expect(told(await topics.ask("b", 100))).toBe("transport unreachable after 100");
  expect(asked).toEqual(["a"]);
  await clock.advance(100);
  await topics.ask("b", 100);
  expect(asked).toEqual(["a", "b"]);
});

test("a topic that nobody could be asked about says so until it is asked about again, whoever was reached meanwhile", async () => {
  const { clock, topics, asked } = topicsWith([
    { kind: "unreachable", reason: "unreachable" },
    { kind: "found", partitions: 3 },
  ]);
  await topics.ask("a", 100);
  topics.noteReach(true);
  expect(told(await topics.ask("a", 100))).toBe("topic unreachable after 100");
  expect(asked).toEqual(["a"]);
  await clock.advance(100);
  expect(told(await topics.ask("a", 100))).toBe(3);
});

test("what is known of a topic stands while brokers do not answer", async () => {
  const { clock, topics } = topicsWith([
    { kind: "found", partitions: 3 },
    { kind: "unreachable", reason: "deadline" },
  ]);
  await topics.ask("a", 100);
  await clock.advance(61_000);
  expect(told(await topics.ask("a", 100))).toBe(3);
  expect(told(await topics.ask("a", 100))).toBe(3);
});

test("after a send that reached no broker every topic waits, until one is reached again", async () => {
  const { clock, topics } = topicsWith([{ kind: "found", partitions: 3 }]);
  await topics.ask("a", 100);
  topics.noteReach(false, notSent("unreachable", "transport"));
  topics.noteReach(false, notSent("unreachable", "transport")); // another partition of the same call
  expect(told(await topics.ask("a", 100))).toBe("transport unreachable after 100");
  await clock.advance(100);
  expect(told(await topics.ask("a", 100))).toBe(3);
  topics.noteReach(false, notSent("unreachable", "transport"));
  topics.noteReach(true);
  expect(told(await topics.ask("a", 100))).toBe(3);
});

test("keyless messages go round the partitions", () => {
  const { topics } = topicsWith([]);
  const seen = Array.from({ length: 6 }, () => topics.nextPartition("a", 3));
  expect(seen.toSorted((one, other) => one - other)).toEqual([0, 0, 1, 1, 2, 2]);
});
