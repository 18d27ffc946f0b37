/**
 * end-to-end/…: messages appended by four writers, published by the relay, handled by an inbox, from the first append to the last committed
 * effect. Beside it each stage runs alone over as many messages: the slowest alone is the one that limits the whole, and the ratio says how
 * much of its speed is left when all three share the machine.
 */
import { catalogue, message, type OutgoingMessage, type Transport } from "@waybill/core";
import { createInbox } from "@waybill/inbox";
import { append } from "@waybill/outbox";
import { createRelay } from "@waybill/relay";
import { type Database, openDatabase } from "@waybill/sql";
import { type BenchmarkResult, benchmarkResult, timed } from "@waybill/testing";
import type { BenchBroker } from "./bench-brokers.ts";
import type { BenchServer, Measuring } from "./bench-servers.ts";
import { relayInto } from "./into-broker.ts";

interface Placed {
  readonly key: string;
  readonly note: string;
}

const shop = catalogue({
  source: "/order-service",
  placed: message<Placed>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.key }),
});

const writers = 4;

export async function measureEndToEnd(server: BenchServer, broker: BenchBroker, { isSmoke, say }: Measuring): Promise<BenchmarkResult> {
  const rows = isSmoke ? 200 : 4_000;
  const ratios: number[] = [];
  for (let round = 0; round < (isSmoke ? 1 : 3); round += 1) {
    const url = await server.newDatabase(0);
    const topic = await broker.newTopic();
    const stages = { append: 0, publish: 0, handle: 0 };
    stages.append = await withDatabase(url, (database) => appendAll(database, rows));
    stages.publish = await relayInto(url, rows, broker, topic);
    stages.handle = await withDatabase(url, (database) => handleAll(database, broker, topic, rows));
    const wholeMs = await whole(await server.newDatabase(0), broker, await broker.newTopic(), rows);
    const [limit, limitMs] = Object.entries(stages).reduce((slowest, one) => (one[1] > slowest[1] ? one : slowest));
    ratios.push(limitMs / wholeMs);
    const rate = (ms: number): string => `${Math.round((1_000 * rows) / ms)}/s`;
    say(
      `  append alone ${rate(stages.append)}, publish alone ${rate(stages.publish)}, handle alone ${rate(stages.handle)}; ` +
        `end to end ${rate(wholeMs)}; limited by ${limit}`,
    );
  }
  // Three stages on two cores: a third of the slowest one's speed is what is left when none may starve the others.
  return benchmarkResult(`end-to-end/${server.name}-${broker.name}`, ratios, 0.33);
}

async function withDatabase(url: string, work: (database: Database) => Promise<number>): Promise<number> {
  const database = openDatabase({ url, connections: 10 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

/** Each message in a transaction of its own. */
async function appendAll(database: Database, rows: number): Promise<number> {
  let next = 0;
  const write = async (): Promise<void> => {
    while (next < rows) {
      const index = next++;
      const made = shop.placed({ key: `order-${index % 100}`, note: "x".repeat(460) });
      const outcome = await database.unitOfWork((tx) => append(tx, made), { operation: "append" });
      if (outcome.kind !== "committed") throw outcome.error;
    }
  };
  return await timed(() => Promise.all(Array.from({ length: writers }, write)));
}

/** From the source's first delivery to the last committed effect. */
async function handleAll(database: Database, broker: BenchBroker, topic: string, rows: number): Promise<number> {
  const handling = startHandling(database, broker, topic, rows);
  await handling.done;
  await handling.stop();
  return handling.tookMs();
}

interface Handling {
  readonly done: Promise<void>;
  tookMs(): number;
  stop(): Promise<void>;
}

function startHandling(database: Database, broker: BenchBroker, topic: string, rows: number): Handling {
  const stop = new AbortController();
  const started = { atMs: 0 };
  let endedMs = 0;
  let handled = 0;
  let finish: () => void = () => undefined;
  const done = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const inbox = createInbox({
    consumer: "bench",
    database,
    concurrency: 8,
    onEvent: ({ name }) => {
      if (name !== "inbox.committed") return;
      handled += 1;
      endedMs = performance.now();
      if (handled === rows) finish();
    },
  });
  inbox.on(shop.placed, async () => {
    if (started.atMs === 0) started.atMs = performance.now();
  });
  const running = inbox.run(broker.source(topic), { signal: stop.signal });
  return {
    done: Promise.race([done, running]),
    tookMs: () => endedMs - started.atMs,
    async stop() {
      stop.abort();
      await running;
      await inbox.close();
    },
  };
}

async function whole(url: string, broker: BenchBroker, topic: string, rows: number): Promise<number> {
  return await withDatabase(url, async (database) => {
    const relayDatabase = openDatabase({ url });
    const transport = broker.transport();
    const readdressing: Transport = {
      publish: (batch, options) =>
        transport.publish(
          batch.map((one): OutgoingMessage => ({ ...one, topic })),
          options,
        ),
      close: (options) => transport.close(options),
    };
    const stop = new AbortController();
    const relaying = createRelay({ database: relayDatabase, transport: readdressing }).run({ signal: stop.signal });
    const handling = startHandling(database, broker, topic, rows);
    const startedMs = performance.now();
    await appendAll(database, rows);
    await handling.done;
    const tookMs = performance.now() - startedMs;
    await handling.stop();
    stop.abort();
    await relaying;
    await transport.close({ deadlineMs: 5_000 });
    await relayDatabase.close();
    return tookMs;
  });
}
