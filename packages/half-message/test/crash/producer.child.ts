/**
 * A producer that a crash test kills. Argument: what it is to do, as JSON. It either sends one half message, or answers checks by pulling them; it tells
 * every event, and ends itself with SIGKILL at one, if it is told one.
 */
import { catalogue, message, type WaybillEvent } from "@waybill/core";
import { createProducer } from "@waybill/half-message";
import { openDatabase } from "@waybill/sql";
import { killOnEvent, tellParent } from "@waybill/testing";

interface Wanted {
  readonly does: "send" | "answer";
  readonly id: string;
  readonly database: string;
  readonly service: string;
  readonly secret: string;
  readonly killAt: WaybillEvent["name"] | null;
}

const wanted = JSON.parse(process.argv[2] as string) as Wanted;
const kill = wanted.killAt === null ? null : killOnEvent({ name: wanted.killAt });
const database = openDatabase({ url: wanted.database, connections: 1 });
const shop = catalogue({
  source: "/payments",
  paymentTaken: message<{ readonly orderId: string }>({ type: "shop.payment.taken.v1", topic: "payments", key: ({ orderId }) => orderId }),
});
const producer = createProducer({
  producer: "payments",
  service: { url: wanted.service, key: { id: "payments-1", secret: wanted.secret } },
  database,
  checkAfterMs: 300,
  suspendAfterMs: 60_000,
  onEvent: (event) => {
    tellParent(event);
    kill?.(event);
  },
});
if (wanted.does === "answer") {
  await producer.runChecks({ signal: new AbortController().signal });
} else {
  const insert = `insert into payment (id) values (${database.dialect === "mysql" ? "?" : "$1"})`;
  await producer.send(shop.paymentTaken({ orderId: "order-17" }), (tx) => tx.query(insert, [wanted.id]), { id: wanted.id });
  tellParent({ name: "sent" });
  await producer.close();
  await database.close();
}
