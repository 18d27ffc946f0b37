/**
 * into/…: the relay empties a ledger into a broker, beside the raw client that publishes as many messages of the same size, confirmed, with as
 * many on their way and the same envelope, which each side makes within its time. The relay also reads them, keeps keys in order, and says
 * which of them were confirmed.
 *
 * Broker, database and both sides share the machine's cores, so that what counts is CPU: what this process takes for a message is told
 * with every round. It does not count alone: a relay that keeps fewer messages on their way leaves the cores idle.
 *
 * Both times begin before the client connects. That of the raw client ends with its connection closed, ours with the last confirm; ours
 * has each message copied once more, to be sent to the round's topic, and a timestamp that the raw client's has not.
 */
import type { OutgoingMessage, Transport } from "@waybill/core";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { type BenchmarkResult, compare, timed } from "@waybill/testing";
import type { BenchBroker } from "./bench-brokers.ts";
import type { BenchServer, Measuring } from "./bench-servers.ts";

export async function measureIntoBroker(
  server: BenchServer,
  broker: BenchBroker,
  { isSmoke, say }: Measuring,
): Promise<readonly BenchmarkResult[]> {
  const { publishRaw } = broker;
  if (publishRaw === null) return [];
  const rows = isSmoke ? 2_000 : 50_000;
  const url = await server.newDatabase(rows);
  const raw = Array.from({ length: rows }, (_, index) => ({ key: `order-${index % 1_000}`, payload: `{"note":"${"x".repeat(488)}"}` }));
  const into = `into/${broker.name}`;
  say(`${rows} messages into ${broker.name}, three rounds`);
  const cpuUs = { ours: 0, bare: 0 };
  const noting = async (side: keyof typeof cpuUs, work: () => Promise<number>): Promise<number> => {
    const before = process.cpuUsage();
    const tookMs = await work();
    const { user, system } = process.cpuUsage(before);
    cpuUs[side] = Math.round((user + system) / rows);
    return tookMs;
  };
  const result = await compare({
    name: wantedName(into, server),
    target: 0.85,
    ours: async () => {
      const topic = await broker.newTopic();
      return await noting("ours", () => relayInto(url, rows, broker, topic));
    },
    bare: async () => {
      const topic = await broker.newTopic();
      return await noting("bare", () => timed(() => publishRaw(topic, raw)));
    },
    onRound({ oursMs, bareMs }) {
      const told = (ms: number, us: number): string => `${Math.round((1_000 * rows) / ms)} messages/s at ${us} µs of our CPU each`;
      say(`  relay ${told(oursMs, cpuUs.ours)}, raw client ${told(bareMs, cpuUs.bare)}`);
    },
  });
  return [result];
}

const wantedName = (into: string, server: BenchServer): string => (server.name === "postgres" ? into : `${into}-from-${server.name}`);

/** Milliseconds from the first call of the transport to the last confirm. All messages go to `topic`, whatever their rows say. */
export async function relayInto(url: string, rows: number, broker: BenchBroker, topic: string): Promise<number> {
  const database = openDatabase({ url });
  await database.execute("delete from waybill_subscription", []);
  const transport = broker.transport();
  const stop = new AbortController();
  let confirmed = 0;
  let startedMs = 0;
  let endedMs = 0;
  const counted: Transport = {
    async publish(batch, options) {
      if (startedMs === 0) startedMs = performance.now();
      const readdressed = batch.map((message): OutgoingMessage => ({ ...message, topic }));
      const outcomes = await transport.publish(readdressed, options);
      confirmed += outcomes.filter(({ kind }) => kind === "confirmed").length;
      if (confirmed >= rows) {
        endedMs = performance.now();
        stop.abort();
      }
      return outcomes;
    },
    close: (options) => transport.close(options),
  };
  await createRelay({ database, transport: counted }).run({ signal: stop.signal });
  await transport.close({ deadlineMs: 5_000 });
  await database.close();
  return endedMs - startedMs;
}
