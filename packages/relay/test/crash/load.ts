/**
 * Writers that place orders at a steady rate until they are stopped, for crashes that must happen under load.
 *
 *     lock the key's row ─▶ journal, on disk ─▶ business row ─▶ append ─▶ COMMIT or ROLLBACK ─▶ journal
 *
 * The key's row counts its orders, so that the auditor may compare the ledger with the order in which the writers had the lock. One
 * transaction in ten is taken back.
 */
import { type createJournal, digest } from "@waybill/auditor";
import { newMessageId } from "@waybill/core";
import { append } from "@waybill/outbox";
import { type Application, connectApplication, type DialectSql } from "../application.ts";
import { messages } from "./crash-messages.ts";

/** Counts a key's orders under the lock of its row. */
export const lockKey: DialectSql = {
  postgres: "insert into key_version values (?, 1) on conflict (name) do update set version = key_version.version + 1",
  mysql: "insert into key_version values (?, 1) on duplicate key update version = version + 1",
};

export interface LoadOptions {
  /** Default 3. */
  readonly writers?: number;
  /** Transactions a second of all writers together, if the machine lets them. Default 150. */
  readonly perSecond?: number;
  /** Default 12. */
  readonly keys?: number;
}

export interface Load {
  /** Transactions that committed so far. */
  readonly committed: number;
  /** Lets what is under way end. Rejects if a writer failed. A second stop resolves with the first. */
  stop(): Promise<void>;
}

export async function startLoad(
  url: string,
  journal: ReturnType<typeof createJournal>,
  { writers = 3, perSecond = 150, keys = 12 }: LoadOptions = {},
): Promise<Load> {
  const stopping = new AbortController();
  let committed = 0;
  let count = 0;

  const place = async (client: Application, turn: number): Promise<void> => {
    const key = `load ${turn % keys}`;
    const messageId = newMessageId();
    const made = messages.orders({ key, note: `order ${turn}` }, { id: messageId });
    await client.run("begin");
    await client.run(lockKey, [key]);
    const [locked] = await client.run("select version from key_version where name = ?", [key]);
    const order = Number(locked?.["version"]);
    journal.write({ step: "intended", messageId, topic: "orders", key, payloadDigest: digest(made.payload), order });
    await client.run("insert into business values (?)", [messageId]);
    await append(client.handle, made);
    const isTakenBack = turn % 10 === 9;
    await client.run(isTakenBack ? "rollback" : "commit");
    journal.write({ step: isTakenBack ? "rolledBack" : "committed", messageId, topic: "orders", key });
    if (!isTakenBack) committed += 1;
  };

  const write = async (client: Application): Promise<void> => {
    const beganAtMs = performance.now();
    try {
      for (let own = 1; !stopping.signal.aborted; own += 1) {
        count += 1;
        await place(client, count);
        await until(beganAtMs + (own * writers * 1_000) / perSecond, stopping.signal);
      }
    } finally {
      await client.end();
    }
  };

  const clients = await Promise.all(
    Array.from({ length: writers }, async () => {
      const client = await connectApplication(url);
      // MySQL would lock gaps between keys otherwise, and writers of different keys would meet there.
      if (client.dialect === "mysql") await client.run("set session transaction isolation level read committed");
      return client;
    }),
  );
  const done = Promise.all(clients.map(write));
  done.catch(() => undefined); // whoever stops sees it
  return {
    get committed() {
      return committed;
    },
    async stop() {
      stopping.abort();
      await done;
    },
  };
}

/** Keeps the rate: waits for a time, or for the stop. */
function until(timeMs: number, stop: AbortSignal): Promise<void> {
  const leftMs = timeMs - performance.now();
  if (leftMs <= 0 || stop.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(end, leftMs);
    function end(): void {
      clearTimeout(timer);
      stop.removeEventListener("abort", end);
      resolve();
    }
    stop.addEventListener("abort", end, { once: true });
  });
}
