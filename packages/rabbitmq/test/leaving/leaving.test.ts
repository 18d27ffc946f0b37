import { startChild, testBroker } from "@waybill/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type TestQueues, testQueues } from "../test-queues.ts";

const program = new URL("../../dist-programs/test/leaving/publisher.child.js", import.meta.url);
const broker = await testBroker("rabbitmq");

let queues: TestQueues;
beforeEach(async () => {
  queues = await testQueues(broker.url);
});
afterEach(async () => {
  await queues.dispose();
});

test.each(["ready", "half-open", "lost"])("after a close of a connection that is %s nothing keeps the process alive", async (state) => {
  const exchange = await queues.exchange();
  await queues.queue(exchange);
  const child = await startChild(program, { env: { BROKER_URL: broker.url, EXCHANGE: exchange, STATE: state } });
  // Nobody ends it: heartbeat timers, sockets and reconnects would keep it for ever.
  expect(await child.exited, child.output()).toEqual({ code: 0, signal: null });
  expect(child.events.map(({ name }) => name)).toContain("rabbitmq.connected");
});
