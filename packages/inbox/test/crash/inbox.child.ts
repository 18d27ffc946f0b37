/**
 * A consumer that is killed: takes what the table `feed` holds, as a broker would hand it over – in order, again and again until it is
 * settled, marked as redelivered from the second time on – and handles it through an inbox.
 *
 * Environment: DATABASE_URL · BATCHES if messages of a first delivery are to go together · KILL_AT the event at which it kills itself, KILL_NTH the how many-th · SUICIDE an id whose handler kills the
 * process. It tells every event, and `quiet` when nothing is left to do; then it stops.
 */
import { catalogue, type Delivery, type InboxEvent, message, type Source, systemClock, wait } from "@waybill/core";
import { createInbox, reject } from "@waybill/inbox";
import { openDatabase, type Row } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

const { DATABASE_URL = "", BATCHES, KILL_AT, KILL_NTH = "1", SUICIDE } = process.env;
const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly n: number }>({ type: "placed.v1", topic: "orders" }),
  paid: message<{ readonly n: number }>({ type: "paid.v1", topic: "orders" }),
  counted: message<{ readonly n: number }>({ type: "counted.v1", topic: "orders" }),
  versioned: message<{ readonly n: string }>({ type: "versioned.v1", topic: "orders", version: ({ n }) => n.split(" ")[1] ?? "" }),
});

const confirmation = `insert into confirmation (message_id) values (${DATABASE_URL.startsWith("mysql") ? "?" : "$1"})`;
const database = openDatabase({ url: DATABASE_URL, connections: 5 });
const stop = new AbortController();
const kill = KILL_AT === undefined ? () => undefined : killOnEvent({ name: KILL_AT as InboxEvent["name"], nth: Number(KILL_NTH) });
const inbox = createInbox({
  consumer: "c",
  database,
  ...(BATCHES === undefined ? { concurrency: 4 } : { concurrency: 1, prefetch: 0 }),
  backoff: { firstMs: 1, maxMs: 5 },
  confirm: (tx, { messageId }) => tx.query(confirmation, [messageId]),
  onEvent(event) {
    tellParent(event);
    kill(event);
  },
});
const first = database.dialect === "mysql" ? "?" : "$1";
const effect = `insert into effect (message_id) values (${first})`;
const settle = `update feed set settled = true where n = ${first}`;
const handOver = `update feed set handed = handed + 1 where n = ${first}`;
const failedOnce = new Set<string>();
inbox.on(shop.placed, async ({ id }, tx, { isRedriven }) => {
  await tx.query(effect, [id]);
  if (id === SUICIDE) process.kill(process.pid, "SIGKILL");
  if (id.startsWith("fails") && !failedOnce.has(id)) {
    failedOnce.add(id);
    throw new Error("not the first time");
  }
  if (id.startsWith("rejected") && !isRedriven) reject("not by delivery");
});
inbox.on(shop.paid, async ({ id }, tx) => void (await tx.query(effect, [id])), { keepResult: true });
inbox.on(shop.versioned, async ({ id }, tx) => void (await tx.query(effect, [id])), { staleness: "skip" });
inbox.onBatch(shop.counted, async (messages, tx) => {
  for (const { id } of messages) await tx.query(effect, [id]);
});
inbox.ignore("ignored.v1");

/** One batch at a time; a key waits behind its first unsettled message, so nothing of it is overtaken. */
const feed: Source = {
  async consume(handle, { signal }) {
    let hasFailed = false;
    while (!signal.aborted) {
      const rows = await database.query(
        `select n, id, type, lane, payload, handed, created_at_ms
         from feed
         where not settled and not exists (
                 select 1 from feed as earlier where earlier.lane = feed.lane and earlier.n < feed.n and not earlier.settled)
         order by n
         limit 10`,
        [],
      );
      if (rows.length === 0) return;
      for (const { n } of rows) await database.query(handOver, [n as number]);
      const batch = rows.map(toDelivery);
      const settlements = await handle(batch);
      for (const [place, { message }] of batch.entries()) {
        if (settlements[place]?.kind !== "done") continue;
        await database.query(settle, [String(message.sequence)]);
      }
      if (KILL_AT === "inbox.sourceFailed" && !hasFailed) {
        hasFailed = true;
        throw new Error("the broker is gone for a moment");
      }
      await wait(systemClock, 2);
    }
  },
};

function toDelivery(row: Row): Delivery {
  return {
    message: {
      id: row["id"] as string,
      type: row["type"] as string,
      topic: "orders",
      key: row["lane"] as string | null,
      headers: new Map([["confirm-by", "someone,c"]]),
      payload: Buffer.from(row["payload"] as string),
      sequence: BigInt(row["n"] as number),
      createdAtMs: Number(row["created_at_ms"]),
    },
    redelivered: (row["handed"] as number) > 0,
  };
}

await inbox.run(feed, { signal: stop.signal });
// What a redrive still has to do is done by the upkeep that `run` has just ended: once more, until nothing moves.
while ((await inbox.redrive()) > 0) await wait(systemClock, 2);
await inbox.removeHandled();
tellParent({ name: "quiet" });
await inbox.close();
await database.close();
