/**
 * Publishes to BROKER_URL, exchange EXCHANGE, is left with a connection in the state that STATE names, closes, and does nothing more:
 * whatever keeps this process alive then is a leak.
 */
import { newMessageId, type OutgoingMessage } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import { startFaultProxy, tellParent } from "@waybill/testing";

const { BROKER_URL = "", EXCHANGE = "", STATE = "" } = process.env;
const message = (): OutgoingMessage => ({
  id: newMessageId(),
  type: "shop.order.placed.v1",
  topic: "orders",
  key: null,
  headers: new Map(),
  payload: Buffer.from("{}"),
  sequence: 1n,
  createdAtMs: 0,
});

const broker = new URL(BROKER_URL);
const proxy = await startFaultProxy({ target: { host: broker.hostname, port: Number(broker.port === "" ? 5672 : broker.port) } });
const transport = rabbitmqTransport({ url: proxy.url(BROKER_URL), topics: { orders: { exchange: EXCHANGE } }, onEvent: tellParent });
await transport.publish([message()], { deadlineMs: 10_000 });
let last: Promise<unknown> = Promise.resolve();
if (STATE === "half-open") proxy.inject({ kind: "blackHole" });
if (STATE === "half-open") last = transport.publish([message()], { deadlineMs: 60_000 });
if (STATE === "lost") {
  proxy.inject({ kind: "refuse" });
  proxy.cutAll();
  last = transport.publish([message()], { deadlineMs: 10_000 });
}
await transport.close({ deadlineMs: 500 });
await last;
await proxy.stop();
