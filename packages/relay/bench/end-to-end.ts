/**
 * end-to-end/D-B: messages appended by four writers, published by the relay, handled by an inbox, from the first append to the last committed
 * effect. Beside it each stage runs alone over as many messages: the slowest alone is the one that limits the whole, the result names it, and
 * the ratio says how much of its speed is left when all three share the machine.
 *
 * end-to-end/D-B-beside-one-by-one: before and after. The same way with an inbox that has a transaction for each message, as it was before it
 * had batches, and with one as it is by default.
 *
 * The effect is a row of its own for each message. Over HTTP a message is confirmed when it is handled: there publishing alone goes to a
 * receiver that only keeps, and handling alone is fed from what it kept.
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
const batchMax = 100;

/** Milliseconds of one round. */
interface Round {
  readonly append: number;
  readonly publish: number;
  readonly handle: number;
  readonly whole: number;
  readonly wholeOneByOne: number;
}

export async function measureEndToEnd(
  server: BenchServer,
  broker: BenchBroker,
  { isSmoke, say }: Measuring,
): Promise<readonly BenchmarkResult[]> {
  const rows = isSmoke ? 200 : 2_000;
  const rate = (ms: number): number => Math.round((1_000 * rows) / ms);
  const rounds: Round[] = [];
  for (let round = 0; round <= (isSmoke ? 1 : 3); round += 1) {
    const measured = await measureRound(server, broker, rows, round % 2 === 0);
    if (round === 0) continue; // it pays for what is compiled and filled the first time
    rounds.push(measured);
    const { append, publish, handle, whole, wholeOneByOne } = measured;
    say(
      `  append alone ${rate(append)}/s, publish alone ${rate(publish)}/s, handle alone ${rate(handle)}/s; ` +
        `end to end ${rate(whole)}/s, limited by ${limitOf(measured)}; with a transaction for each message ${rate(wholeOneByOne)}/s`,
    );
  }
  const median = (of: (round: Round) => number): number =>
    rounds.map(of).sort((left, right) => left - right)[(rounds.length - 1) >> 1] ?? 0;
  const middle: Round = {
    append: median(({ append }) => append),
    publish: median(({ publish }) => publish),
    handle: median(({ handle }) => handle),
    whole: median(({ whole }) => whole),
    wholeOneByOne: median(({ wholeOneByOne }) => wholeOneByOne),
  };
  const name = `end-to-end/${server.name}-${broker.name}`;
  // Three stages on two cores: a third of the slowest one's speed is what is left when none may starve the others.
  const left = benchmarkResult(
    name,
    rounds.map((round) => round[limitOf(round)] / round.whole),
    0.33,
  );
  const gained = benchmarkResult(
    `${name}-beside-one-by-one`,
    rounds.map(({ whole, wholeOneByOne }) => wholeOneByOne / whole),
    0.9,
  );
  return [
    {
      ...left,
      note: `limited by ${limitOf(middle)}`,
      figures: {
        "end to end per s": rate(middle.whole),
        "append alone per s": rate(middle.append),
        "publish alone per s": rate(middle.publish),
        "handle alone per s": rate(middle.handle),
      },
    },
    { ...gained, figures: { "after: batches per s": rate(middle.whole), "before: one by one per s": rate(middle.wholeOneByOne) } },
  ];
}

function limitOf({ append, publish, handle }: Round): "append" | "publish" | "handle" {
  if (append >= publish && append >= handle) return "append";
  return publish >= handle ? "publish" : "handle";
}

async function measureRound(server: BenchServer, broker: BenchBroker, rows: number, isAfterFirst: boolean): Promise<Round> {
  const url = await server.newDatabase(0);
  const topic = await broker.newTopic();
  await withDatabase(url, makeEffects);
  const append = await withDatabase(url, (database) => appendAll(database, rows));
  const stopKeeping = broker.keeper?.keep(topic);
  const publish = await relayInto(url, rows, broker, topic);
  await stopKeeping?.();
  const handle = await withDatabase(url, (database) => handleAll(database, broker, topic, rows));
  const runWhole = async (most: number): Promise<number> =>
    await measureWhole(await server.newDatabase(0), broker, await broker.newTopic(), rows, most);
  // Who goes first changes from round to round.
  const first = await runWhole(isAfterFirst ? batchMax : 1);
  const second = await runWhole(isAfterFirst ? 1 : batchMax);
  return { append, publish, handle, whole: isAfterFirst ? first : second, wholeOneByOne: isAfterFirst ? second : first };
}

async function withDatabase<T>(url: string, work: (database: Database) => Promise<T>): Promise<T> {
  const database = openDatabase({ url, connections: 10 });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

async function makeEffects(database: Database): Promise<void> {
  await database.execute("create table effect (message_id varchar(255) not null)", []);
}

const insertEffect = {
  postgres: "insert into effect (message_id) values ($1)",
  mysql: "insert into effect (message_id) values (?)",
} as const;

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

/** From the first handler to the last committed effect. */
async function handleAll(database: Database, broker: BenchBroker, topic: string, rows: number): Promise<number> {
  const handling = startHandling(database, broker, topic, rows, batchMax);
  await Promise.all([handling.done, broker.keeper?.deliver(topic)]);
  await handling.stop();
  return handling.tookMs();
}

interface Handling {
  readonly done: Promise<void>;
  tookMs(): number;
  stop(): Promise<void>;
}

function startHandling(database: Database, broker: BenchBroker, topic: string, rows: number, most: number): Handling {
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
    batchMax: most,
    onEvent: ({ name }) => {
      if (name !== "inbox.committed") return;
      handled += 1;
      endedMs = performance.now();
      if (handled === rows) finish();
    },
  });
  inbox.on(shop.placed, async ({ id }, tx) => {
    if (started.atMs === 0) started.atMs = performance.now();
    await tx.query(insertEffect[tx.dialect], [id]);
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

/** From the first append to the last committed effect. */
async function measureWhole(url: string, broker: BenchBroker, topic: string, rows: number, most: number): Promise<number> {
  return await withDatabase(url, async (database) => {
    await makeEffects(database);
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
    const handling = startHandling(database, broker, topic, rows, most);
    const relaying = createRelay({ database: relayDatabase, transport: readdressing }).run({ signal: stop.signal });
    const startedMs = performance.now();
    await appendAll(database, rows);
    await handling.done;
    const tookMs = performance.now() - startedMs;
    stop.abort();
    await relaying;
    await handling.stop();
    await transport.close({ deadlineMs: 5_000 });
    await relayDatabase.close();
    return tookMs;
  });
}
