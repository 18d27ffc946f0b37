/**
 * R68. The same message comes to two processes of a consumer at once, again and again: one of them has the effect, the other one waits for it or comes
 * again a little later, and neither of them takes that for a failure.
 */
import { waitUntil } from "@waybill/testing";
import { type NewRow, openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { createEffectTable, deliveryOf, effectsOf, openReceiver, type Receiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";

const consumer = "twin";

export const sameMessageTwice = scenario({
  code: "R68",
  title: "of two processes that get the same message at once one has the effect, and the other one waits or skips without a failure",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { messages: 200, atOnce: 8, handlerMaxMs: 40, againsEachMax: 2, eachMaxMs: 10_000 },
  full: { messages: 1_000, atOnce: 8, handlerMaxMs: 200, againsEachMax: 2, eachMaxMs: 10_000 },
  async play(rig, { messages, atOnce, handlerMaxMs, againsEachMax, eachMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      consumers: [effectsOf(consumer)],
    });
    await createEffectTable(delivery.place);
    // An inbox waits for itself by memory: two of them, each with connections of its own, meet in the database only, as two processes do.
    let handling = 0;
    const open = (): Receiver =>
      openReceiver(rig, delivery.place, {
        consumer,
        concurrency: atOnce,
        handle: async () => {
          handling += 1;
          await rig.pause(10 + rig.random.fraction() * handlerMaxMs);
        },
      });
    const twins = [open(), open()] as const;
    await delivery.relay.start();
    const rows: readonly NewRow[] = Array.from({ length: messages }, (_, index) => ({
      topic: "notes",
      key: index % 3 === 0 ? null : `key-${index}`,
    }));
    const ids = await delivery.write(rows);
    await waitUntil(() => rig.signal.aborted || ids.every((id) => endpoint.arrivedMs(id) !== undefined), {
      what: "all have arrived",
      deadlineMs: 60_000,
    });

    let losers = 0;
    let agains = 0;
    let longestMs = 0;
    const process = async (twin: Receiver, index: number): Promise<string | null> => {
      const ended = await twin.deliver(deliveryOf(ids[index] as string, rows[index] as NewRow));
      for (const as of ended.agains) rig.demand(`the loser was told that it ${as}`, as === "disturbed");
      agains += ended.agains.length;
      return ended.as;
    };
    for (let first = 0; first < messages && !rig.signal.aborted; first += atOnce) {
      const some = Array.from({ length: Math.min(atOnce, messages - first) }, (_, index) => first + index);
      await Promise.all(
        some.map(async (index) => {
          const beganMs = performance.now();
          const ends = await Promise.all(twins.map((twin) => process(twin, index)));
          longestMs = Math.max(longestMs, performance.now() - beganMs);
          const isOne = ends.includes("handled") && ends.includes("duplicate");
          rig.demand(`a message ended as ${ends.join(" and ")}`, isOne || rig.signal.aborted);
          if (isOne) losers += 1;
        }),
      );
    }
    const count = (name: Parameters<Receiver["count"]>[0]): number => twins.reduce((sum, twin) => sum + twin.count(name), 0);
    rig.fault("the same message at two processes at once", losers >= messages);
    rig.effort("losers", losers, messages);
    rig.demand(`${handling} calls of the handler for ${messages} messages`, handling === messages);
    rig.demand("waiting for the other one counted as a failed attempt", count("inbox.handlerFailed") === 0);
    rig.demand("a message became a dead letter", count("inbox.deadLettered") === 0);
    rig.demand("a connection was lost over it", count("sql.connectionLost") === 0);
    rig.demand(`losers came again ${agains} times`, agains <= messages * againsEachMax);
    rig.within(`the slowest pair of ${messages} ended`, longestMs, eachMaxMs);
    await delivery.isQuiet();
    await delivery.end();
  },
});
