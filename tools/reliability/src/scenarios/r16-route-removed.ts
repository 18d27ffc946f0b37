/** R16. The route of a topic is removed while rows wait for it: the topic waits with an alarm, nothing of it is given up, others go on, and it flows again. */
import type { Received } from "@waybill/auditor";
import { testName, waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { scenario } from "../scenario.ts";
import { openTappedTopic } from "../tapped-topic.ts";

export const routeRemoved = scenario({
  code: "R16",
  title: "messages of a topic whose route is gone wait for it with an alarm, and none is given up",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq"],
  why: "Kafka has topics and no routes: R51 is about those.",
  scaled: { waiting: 60, rounds: 60, everyMs: 80, slowerMaxMs: 1_000 },
  full: { waiting: 10_000, rounds: 6_000, everyMs: 100, slowerMaxMs: 1_000 },
  async play(rig, { waiting, rounds, everyMs, slowerMaxMs }) {
    const [there, routed] = [testName("reliability-there"), testName("reliability-routed")];
    const received: Received[] = [];
    const firstMs = new Map<string, number>();
    const onReceived = (one: Received): void => {
      received.push(one);
      if (!firstMs.has(one.messageId)) firstMs.set(one.messageId, performance.now());
    };
    const always = await openTappedTopic(rig, there, { onReceived });
    // The tap's queue is the only one: with it the route goes.
    const route = await openTappedTopic(rig, routed, { onReceived });
    const relayArgs = ["--attempts-max", "1", "--topic-backoff-max-ms", "1000"];
    const delivery = await openDelivery(rig, { transport: rig.servers.broker.url, received: () => received, relayArgs });
    const rows = (round: number) => [{ topic: there, key: `key-${round % 7}` }];
    const measure = () => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: (id) => firstMs.get(id) });
    const routedRows = Array.from({ length: waiting }, (_, index) => ({ topic: routed, key: `key-${index % 7}` }));
    const arrive = (ids: readonly string[], what: string) =>
      waitUntil(() => rig.signal.aborted || ids.every((id) => firstMs.has(id)), { what, deadlineMs: 60_000 });
    await delivery.relay.start();
    await arrive(await delivery.write(routedRows), "messages of the topic arrive");
    const before = await measure();
    await route.close();
    const from = delivery.told.length;
    const ids = await delivery.write(routedRows);
    await delivery.waitFor(({ name, topic }) => name === "relay.breakerOpened" && topic === routed, {
      what: "the alarm",
      deadlineMs: 60_000,
      from,
    });
    const during = await measure();
    rig.within("p99 of the other topic's arrival", during, before + slowerMaxMs);
    rig.fault(
      "remove the route",
      ids.every((id) => !firstMs.has(id)),
    );
    const again = await openTappedTopic(rig, routed, { onReceived });
    await arrive(ids, "what waited arrives");
    await delivery.isQuiet();
    await Promise.all([always.readToEnd(), again.readToEnd()]);
    const { deadLetters } = await delivery.end();
    rig.demand(`${deadLetters.length} messages were given up`, deadLetters.length === 0);
  },
});
