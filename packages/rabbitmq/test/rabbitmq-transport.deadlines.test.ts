/** What a call's deadline may cost: as little as there is to lose. */
import type { WaybillEvent } from "@waybill/core";
import { rabbitmqTransport } from "@waybill/rabbitmq";
import { testBroker } from "@waybill/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { outcomeText } from "./outcome-text.ts";
import { outgoing } from "./outgoing.ts";
import { type TestQueues, testQueues } from "./test-queues.ts";

const broker = await testBroker("rabbitmq");
let queues: TestQueues;
beforeEach(async () => {
  queues = await testQueues(broker.url);
});
afterEach(async () => {
  await queues.dispose();
});

test("a key with more messages than its call has time for costs no connection: what is written is confirmed, the rest surely is not", async () => {
  const exchange = await queues.exchange();
  const queue = await queues.queue(exchange);
  const events: WaybillEvent[] = [];
  const transport = rabbitmqTransport({ url: broker.url, topics: { orders: { exchange } }, onEvent: (event) => events.push(event) });
  try {
    await transport.start({ deadlineMs: 30_000 });
    // A confirm takes a millisecond at least.
    const batch = Array.from({ length: 6_000 }, () => outgoing({ key: "order-42" }));
    const outcomes = (await transport.publish(batch, { deadlineMs: 4_000 })).map(outcomeText);
    const confirmed = outcomes.lastIndexOf("confirmed") + 1;
    expect(confirmed).toBeGreaterThan(0);
    expect(new Set(outcomes.slice(0, confirmed))).toEqual(new Set(["confirmed"]));
    expect(outcomes[confirmed]).toBe("retry topic deadline");
    expect(new Set(outcomes.slice(confirmed + 1))).toEqual(new Set(["retry message behindItsKey"]));
    expect(events.filter(({ name }) => name === "rabbitmq.lost")).toEqual([]);
    expect((await queues.takeMessages(queue)).map(({ id }) => id)).toEqual(batch.slice(0, confirmed).map(({ id }) => id));
  } finally {
    await transport.close({ deadlineMs: 2_000 });
  }
});
