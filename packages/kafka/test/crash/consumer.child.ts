/**
 * A consumer that is killed: a member of a group, with an inbox behind it. The handler has one effect per message; it fails once for
 * ids that begin with `fails`, and refuses those that begin with `rejected`.
 *
 * Environment: DATABASE_URL, BROKERS, GROUP, TOPIC, CLIENT · KILL_AT the event at which it kills itself, KILL_NTH the how many-th · STOP_AFTER so
 * many settled messages it stops. It tells every event, and `ended` when nothing is left to do but to exit.
 */
import { catalogue, message, type OnEvent, type WaybillEvent } from "@waybill/core";
import { createInbox, reject } from "@waybill/inbox";
import { type KafkaClientName, kafkaSource } from "@waybill/kafka";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

const { DATABASE_URL = "", BROKERS = "", GROUP = "", TOPIC = "", CLIENT = "kafkajs", KILL_AT, KILL_NTH = "1", STOP_AFTER } = process.env;
const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly n: number }>({ type: "shop.placed.v1", topic: "orders" }),
});

const stop = new AbortController();
const kill = KILL_AT === undefined ? () => undefined : killOnEvent({ name: KILL_AT as WaybillEvent["name"], nth: Number(KILL_NTH) });
let settled = 0;
const onEvent: OnEvent = (event) => {
  tellParent(event);
  kill(event);
  if (event.name !== "inbox.committed" && event.name !== "inbox.duplicate" && event.name !== "inbox.deadLettered") return;
  settled += 1;
  if (settled === Number(STOP_AFTER)) stop.abort();
};
const database = openDatabase({ url: DATABASE_URL, connections: 5 });
const inbox = createInbox({ consumer: "c", database, concurrency: 4, backoff: { firstMs: 1, maxMs: 5 }, onEvent });
const failedOnce = new Set<string>();
inbox.on(shop.placed, async ({ id }, tx) => {
  await tx.query("insert into effect (message_id) values ($1)", [id]);
  if (id.startsWith("rejected")) reject("not wanted");
  if (!id.startsWith("fails") || failedOnce.has(id)) return;
  failedOnce.add(id);
  throw new Error("not the first time");
});
process.stdin.once("data", () => stop.abort());

const source = kafkaSource({
  brokers: BROKERS.split(","),
  client: CLIENT as KafkaClientName,
  groupId: GROUP,
  topics: [TOPIC],
  sessionTimeoutMs: 2_000,
  heartbeatMs: 300,
  rebalanceTimeoutMs: 5_000,
  onEvent,
});
await inbox.run(source, { signal: stop.signal });
await inbox.close();
await database.close();
process.stdin.destroy();
tellParent({ name: "ended" });
