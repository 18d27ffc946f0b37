/**
 * R55. Thousands of messages have one key, beside many keys with few: they keep their order, go as fast as the broker's confirms let them – on RabbitMQ one
 * after the other, on Kafka in batches –, and the others do not wait for them.
 */
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { scenario } from "../scenario.ts";
import { tapTopics } from "../tapped-topics.ts";

export const hotKey = scenario({
  code: "R55",
  title: "a key with thousands of messages keeps their order at the rate of the broker's confirms, and makes no other key wait",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { hot: 500, delayMs: 5, alone: 20, keys: 200, rounds: 60, everyMs: 100, share: 0.8, kafkaPerConfirm: 10, slowerMaxMs: 1_000 },
  full: { hot: 10_000, delayMs: 5, alone: 100, keys: 200, rounds: 600, everyMs: 100, share: 0.8, kafkaPerConfirm: 100, slowerMaxMs: 1_000 },
  async play(rig, { hot, delayMs, alone, keys, rounds, everyMs, share, kafkaPerConfirm, slowerMaxMs }) {
    const door = rig.servers.broker.doors.relays;
    rig.effort("ways to the broker that can be slowed down", door === null ? 0 : 1, 1);
    if (door === null) return;
    const tapped = tapTopics(rig);
    const { topic, readToEnd } = await tapped.make("notes", { partitions: 4 });
    const delivery = await openDelivery(rig, { transport: door.url, received: () => tapped.received, tellsAll: true });
    await delivery.relay.start();
    await delivery.write([{ topic, key: null }]);
    await waitUntil(() => tapped.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const slowed = door.proxy.inject({ kind: "latency", delayMs });
    rig.defer(async () => slowed.lift());
    const rows = (round: number) => Array.from({ length: 4 }, (_, index) => ({ topic, key: `key-${(round * 4 + index) % keys}` }));
    const measure = (): Promise<number> => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: tapped.arrivedMs });

    // What one confirm takes: calls of a single message.
    const from = delivery.told.length;
    for (let nth = 0; nth < alone && !rig.signal.aborted; nth += 1) {
      const [id] = (await delivery.write([{ topic, key: "alone" }])) as [string];
      await waitUntil(() => tapped.arrivedMs(id) !== undefined || rig.signal.aborted, { what: "a lone message arrives" });
    }
    const tookMs = delivery.told
      .slice(from)
      .flatMap(({ event }) => (event["name"] === "relay.published" && event["confirmed"] === 1 ? [Number(event["durationMs"])] : []))
      .toSorted((left, right) => left - right);
    const confirmMs = tookMs[Math.floor(tookMs.length / 2)] ?? 0;
    rig.effort("lone confirms", tookMs.length, alone / 2);

    const before = await measure();
    const during = measure();
    const beganMs = performance.now();
    const ids = await delivery.write(Array.from({ length: hot }, () => ({ topic, key: "hot" })));
    await waitUntil(() => ids.every((id) => tapped.arrivedMs(id) !== undefined) || rig.signal.aborted, {
      what: "the hot key is published",
      deadlineMs: 600_000,
      intervalMs: 50,
    });
    const took = performance.now() - beganMs;
    rig.within("p99 of the other keys' arrival", await during, before + slowerMaxMs);
    const perConfirm = rig.broker === "kafka" ? kafkaPerConfirm : 1;
    rig.say(`a confirm takes ${confirmMs.toFixed(1)} ms, and ${hot} messages of one key took ${Math.round(took)} ms`);
    rig.demandWhenCalm(
      `the hot key went at ${((hot / took) * confirmMs).toFixed(2)} messages for each confirm`,
      (hot / took) * confirmMs >= share * perConfirm,
    );
    rig.fault("a key with most of the messages", slowed.fired > 0);
    slowed.lift();
    await delivery.isQuiet();
    await readToEnd();
    await delivery.end();
  },
});
