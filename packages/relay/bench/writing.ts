/** Writers of a benchmark: business transactions of an order and its message, each writer on a connection of its own. */
import { catalogue, message } from "@waybill/core";
import { append } from "@waybill/outbox";
import pg from "pg";

interface Placed {
  readonly orderId: string;
  readonly note: string;
}

const shop = catalogue({
  source: "/order-service",
  placed: message<Placed>({ type: "shop.order.placed.v1", topic: "orders", key: (order) => order.orderId }),
});

export interface Writing {
  readonly clients: readonly pg.Client[];
  /** Writes for so many seconds. Answers the commits. */
  run(forSeconds: number): Promise<number>;
  close(): Promise<void>;
}

export interface WritingOptions {
  readonly writers: number;
  /** Transactions per second of all of them; left out: as many as there can be. */
  readonly perSecond?: number;
}

export async function openWriting(url: string, { writers, perSecond }: WritingOptions): Promise<Writing> {
  const clients = await Promise.all(
    Array.from({ length: writers }, async () => {
      const client = new pg.Client(url);
      await client.connect();
      return client;
    }),
  );
  const [first] = clients as [pg.Client];
  await first.query("create table if not exists orders (id bigint generated always as identity primary key, key text not null)");
  const note = "x".repeat(460);
  return {
    clients,
    async run(forSeconds) {
      let commits = 0;
      const startedMs = performance.now();
      const untilMs = startedMs + 1_000 * forSeconds;
      const write = async (client: pg.Client, writer: number): Promise<void> => {
        for (let index = 0; performance.now() < untilMs; index += 1) {
          if (perSecond !== undefined) {
            const dueMs = startedMs + ((index * writers + writer) * 1_000) / perSecond;
            await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
          }
          const key = `order-${(writer * 1_009 + index) % 1_000}`;
          await client.query("begin");
          await client.query("insert into orders (key) values ($1)", [key]);
          await append(client, shop.placed({ orderId: key, note }));
          await client.query("commit");
          commits += 1;
        }
      };
      await Promise.all(clients.map(write));
      return commits;
    },
    close: async () => {
      await Promise.all(clients.map((client) => client.end()));
    },
  };
}

export function seconds(count: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 1_000 * count));
}
