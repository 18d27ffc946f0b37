/** What a call's deadline may cost, on brokers that take their time by a clock of ours. */
import { kafkaTransport } from "@waybill/kafka";
import { manualClock, startFakeKafka } from "@waybill/testing";
import { expect, test } from "vitest";
import { client } from "./client-under-test.ts";
import { messagesOf, told } from "./sample-messages.ts";

test("a partition with more to send than its call has time for: what was sent is confirmed, the rest surely is not sent", async () => {
  const clock = manualClock();
  const fake = await startFakeKafka({
    topics: { orders: [0] },
    async onProduce(): Promise<"store"> {
      await clock.advance(400);
      return "store";
    },
  });
  const events: string[] = [];
  const transport = kafkaTransport({ brokers: fake.addresses, client, clock, onEvent: ({ name }) => events.push(name) });
  try {
    const make = messagesOf("orders");
    // Each fills a send of its own.
    const batch = Array.from({ length: 4 }, () => make({ key: "order-42", payload: Buffer.alloc(400_000) }));
    const outcomes = await transport.publish(batch, { deadlineMs: 1_000 });
    expect(outcomes.map(told)).toEqual(["confirmed", "confirmed", "retry topic deadline", "retry message behindItsKey"]);
    expect(fake.asked).toHaveLength(2);
    expect(events).toEqual([]); // the producer was not replaced
  } finally {
    await transport.close({ deadlineMs: 0 });
    await fake.stop();
  }
});
