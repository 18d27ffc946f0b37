/** A source and a broker that lies or stalls: on the wire only, for no real one does it on demand. */
import type { WaybillEvent } from "@waybill/core";
import { waitUntil } from "@waybill/testing";
import { afterEach, describe, expect, test } from "vitest";
import { type RabbitmqSourceOptions, rabbitmqSource } from "../src/index.ts";
import { type FakeBroker, type FakeBrokerOptions, frameHead, startFakeBroker } from "./fake-broker.ts";

const open = new Set<() => Promise<unknown>>();
afterEach(async () => {
  for (const close of [...open].toReversed()) await close();
  open.clear();
});

async function consumeFrom(
  broker: FakeBrokerOptions,
  options: Partial<RabbitmqSourceOptions> = {},
): Promise<{ readonly broker: FakeBroker; readonly events: readonly WaybillEvent[] }> {
  const fake = await startFakeBroker(broker);
  open.add(() => fake.stop());
  const events: WaybillEvent[] = [];
  const stop = new AbortController();
  const source = rabbitmqSource({
    url: fake.url,
    queues: [{ name: "q" }],
    heartbeatSeconds: 5,
    random: { fraction: () => 0 },
    onEvent: (event) => void events.push(event),
    ...options,
  });
  const ended = source.consume(async (batch) => batch.map(() => ({ kind: "done" })), { signal: stop.signal });
  open.add(() => {
    stop.abort();
    return ended;
  });
  return { broker: fake, events };
}

describe("A15 a frame that says it is larger than any frame may be costs the connection, not the memory", () => {
  test.each([
    ["4 GiB", 4_294_967_295],
    ["17 MiB", 17 * 1_048_576],
  ])("%s", async (_, size) => {
    const filler = Buffer.alloc(1_048_576);
    let written = 0;
    const { broker, events } = await consumeFrom({
      ready: 0,
      onConsume(socket) {
        socket.write(frameHead(1, 1, size));
        // As much of it as anybody takes: a reader that believed the size would go on taking.
        const more = (): void => {
          while (!socket.destroyed && written < 512) {
            written += 1;
            if (!socket.write(filler)) return void socket.once("drain", more);
          }
        };
        more();
      },
    });
    await waitUntil(() => broker.connections >= 3, { what: "it has left twice and come back", deadlineMs: 30_000 });
    expect(events.filter(({ name }) => name === "rabbitmq.lost").length).toBeGreaterThanOrEqual(2);
    // What was taken before the connection was reset lay in the buffers of the system.
    expect(written / broker.connections).toBeLessThan(64);
  });
});

test("A13 messages are ready and none comes, though the consumer is registered: it begins again with a new channel", async () => {
  const { broker, events } = await consumeFrom({ ready: 7 }, { queues: [{ name: "q", isKeyed: false }], nothingDeliveredMs: 300 });
  await waitUntil(() => broker.consumers >= 3, { what: "it has begun again twice", deadlineMs: 30_000 });
  const rebuilt = events.filter((event) => event.name === "source.rebuilding");
  expect(rebuilt.slice(0, 2)).toMatchObject([
    { reason: "nothingDelivered", attempt: 1 },
    { reason: "nothingDelivered", attempt: 2 },
  ]);
  expect(events.find(({ name }) => name === "source.lagMeasured")).toMatchObject({ messages: 7 });
  expect(broker.connections).toBe(1);
});

test("a queue that is empty is left alone", async () => {
  const { broker, events } = await consumeFrom({ ready: 0 }, { queues: [{ name: "q", isKeyed: false }], nothingDeliveredMs: 60 });
  await waitUntil(() => broker.consumers === 1, { what: "it consumes", deadlineMs: 30_000 });
  // Ten times what a stalled queue is given.
  await new Promise((resolve) => setTimeout(resolve, 600));
  expect([broker.consumers, events.filter(({ name }) => name === "source.rebuilding")]).toEqual([1, []]);
});

test("a delivery that makes no sense closes its connection, and the next one is tried", async () => {
  const { broker, events } = await consumeFrom({
    ready: 1,
    onConsume(socket) {
      // A body that nobody announced, on a channel that nobody opened.
      socket.write(Buffer.concat([frameHead(3, 77, 3), Buffer.from("abc"), Buffer.from([206])]));
    },
  });
  await waitUntil(() => broker.connections >= 3, { what: "it has left twice and come back", deadlineMs: 30_000 });
  expect(events.some(({ name }) => name === "rabbitmq.lost")).toBe(true);
});
