import { expect, test } from "vitest";
import type { KafkaProducer, KafkaProducerClient } from "./producer-client.ts";
import { createProducerPool } from "./producer-pool.ts";

/** Producers that never finish what is under way, so that only a deadline of 0 ends them. */
function slowClient(): { readonly client: KafkaProducerClient; readonly opened: KafkaProducer[]; readonly destroyed: KafkaProducer[] } {
  const opened: KafkaProducer[] = [];
  const destroyed: KafkaProducer[] = [];
  const client: KafkaProducerClient = {
    describeTopic: () => Promise.resolve({ kind: "found", partitions: 1 }),
    producer() {
      const producer: KafkaProducer = {
        send: () => Promise.resolve({ kind: "stored", baseOffset: 0n }),
        close({ deadlineMs }) {
          if (deadlineMs > 0) return new Promise(() => undefined);
          destroyed.push(producer);
          return Promise.resolve();
        },
      };
      opened.push(producer);
      return producer;
    },
    close: () => Promise.resolve(),
  };
  return { client, opened, destroyed };
}

test("each of 32 topics has a producer of its own, and those beyond share", () => {
  const { client, opened } = slowClient();
  const pool = createProducerPool(client, 1_000);
  const producers = Array.from({ length: 100 }, (_, index) => pool.of(`topic ${index}`));
  expect(opened.length).toBe(32);
  expect(new Set(producers.slice(0, 32)).size).toBe(32);
  expect(pool.of("topic 77")).toBe(producers[77]);
});

test("a producer is replaced once, whoever asks for it first", () => {
  const { client } = slowClient();
  const pool = createProducerPool(client, 1_000);
  const first = pool.of("orders");
  expect(pool.replace("orders", first)).toBe(true);
  expect(pool.replace("orders", first)).toBe(false);
  expect(pool.of("orders")).not.toBe(first);
});

test("at most three producers leave at their leisure; the oldest is destroyed", () => {
  const { client, opened, destroyed } = slowClient();
  const pool = createProducerPool(client, 1_000);
  for (let turn = 0; turn < 5; turn += 1) pool.replace("orders", pool.of("orders"));
  expect(destroyed).toEqual(opened.slice(0, 2));
});

test("destroyed together, none is left", async () => {
  const { client, opened, destroyed } = slowClient();
  const pool = createProducerPool(client, 1_000);
  pool.replace("orders", pool.of("orders"));
  pool.of("payments");
  await pool.destroy();
  expect(new Set(destroyed)).toEqual(new Set(opened));
});
