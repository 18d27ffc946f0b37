/** R42. A hint and the poll wake the relay at once, thousands of times: each message is still published once. */
import { createHint } from "@waybill/outbox";
import { waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const hintAndPoll = scenario({
  code: "R42",
  title: "a hint and the poll that wake the relay together lead to one publication of each message",
  databases: ["postgres"],
  brokers: [],
  why: "Only PostgreSQL can notify.",
  scaled: { messages: 1_500, writers: 4 },
  full: { messages: 10_000, writers: 4 },
  async play(rig, { messages, writers }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    // An answer that is late is no answer, and would be asked for again: nothing here is to be late.
    const relayArgs = [
      "--hint",
      "--poll-min-ms",
      "1",
      "--poll-max-ms",
      "2",
      "--publish-deadline-ms",
      "60000",
      "--http-deadline-ms",
      "60000",
    ];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relayArgs, leaseMs: 30_000 });
    let lost = 0;
    const hint = createHint({ database: delivery.place.database, onEvent: () => void (lost += 1) });
    await delivery.relay.start();
    await delivery.waitFor(({ name }) => name === "relay.hintListening", { what: "hints wake the relay", deadlineMs: 60_000, from: 0 });
    let hints = 0;
    const write = async (writer: number): Promise<void> => {
      const session = await openSession(rig, delivery);
      for (let index = 0; index < messages / writers && !rig.signal.aborted; index += 1) {
        await (await beginNotes(delivery, session, [{ key: `key-${writer}` }])).commit();
        hint.give();
        hints += 1;
      }
    };
    await Promise.all(Array.from({ length: writers }, (_, writer) => write(writer)));
    await hint.settled();
    await waitUntil(() => endpoint.arrivals.length >= messages || rig.signal.aborted, { what: "all have arrived", deadlineMs: 120_000 });
    await delivery.isQuiet();
    const epochs = delivery.told.filter(({ event }) => event["name"] === "relay.leaseAcquired").length;
    rig.effort("hints given", hints - lost, messages - 10);
    rig.demandWhenCalm(`the lease was taken ${epochs} times`, epochs === 1);
    rig.demandWhenCalm(`${endpoint.arrivals.length} requests for ${messages} messages`, endpoint.arrivals.length === messages);
    await delivery.end();
  },
});
