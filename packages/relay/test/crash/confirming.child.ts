/**
 * A consumer that is asked to confirm, as a process: takes orders from RabbitMQ, handles them through an inbox, and confirms by a message of its own outbox, which a
 * relay of its own publishes. One argument: `ConfirmingOptions` as JSON. It tells every event, and kills itself where it is told to; a line on stdin stops it.
 */
import { catalogue, message, type OnEvent, type WaybillEvent } from "@waybill/core";
import { createInbox } from "@waybill/inbox";
import { append } from "@waybill/outbox";
import { rabbitmqSource, rabbitmqTransport, topicQueues } from "@waybill/rabbitmq";
import { createRelay } from "@waybill/relay";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

export interface ConfirmingOptions {
  readonly url: string;
  readonly broker: string;
  /** Of topics and queues. */
  readonly name: string;
  readonly killAt: WaybillEvent["name"] | null;
}

const { url, broker, name, killAt } = JSON.parse(process.argv[2] ?? "{}") as ConfirmingOptions;
const shop = catalogue({
  source: "/order-service",
  placed: message<{ readonly n: number }>({ type: "shop.placed.v1", topic: `${name}.orders` }),
});
const inventory = catalogue({
  source: "/inventory-service",
  confirmed: message<{ readonly messageId: string; readonly consumer: string }>({
    type: "inventory.confirmed.v1",
    topic: `${name}.confirmations`,
    key: ({ messageId }) => messageId,
  }),
});

const kill = killAt === null ? () => undefined : killOnEvent({ name: killAt });
const onEvent: OnEvent = (event) => {
  tellParent(event);
  kill(event);
};
const stop = new AbortController();
process.stdin.once("data", () => stop.abort());
const database = openDatabase({ url, connections: 5 });
const transport = rabbitmqTransport({ url: broker });
const inbox = createInbox({
  consumer: "inventory",
  database,
  concurrency: 4,
  backoff: { firstMs: 1, maxMs: 50 },
  confirm: (tx, { messageId, consumer }) => append(tx, inventory.confirmed({ messageId, consumer })),
  onEvent,
});
const effect = `insert into effect (message_id) values (${database.dialect === "mysql" ? "?" : "$1"})`;
inbox.on(shop.placed, async ({ id }, tx) => void (await tx.query(effect, [id])));
const relay = createRelay({ database, transport, leaseMs: 3_000, publishDeadlineMs: 2_000, pollMaxMs: 20, onEvent });

await Promise.all([
  relay.run({ signal: stop.signal }),
  inbox.run(rabbitmqSource({ url: broker, queues: topicQueues({ consumer: "inventory", topics: [shop.placed.topic] }) }), {
    signal: stop.signal,
  }),
]);
await transport.close({ deadlineMs: 1_000 });
await inbox.close();
await database.close();
process.stdin.destroy();
