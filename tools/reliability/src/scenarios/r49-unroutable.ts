/**
 * R49. RabbitMQ takes messages that reach nobody: an exchange has no queue, another one is deleted, and of a third one the queue is full. None of them counts
 * as published, other exchanges do not notice, and when all is put right all arrive by themselves.
 */
import { openBrokerTopics, readLedgerStanding, waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openBrokerSource } from "../broker-source.ts";
import { openDelivery } from "../delivery.ts";
import { openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";
import { tapTopics } from "../tapped-topics.ts";

export const unroutable = scenario({
  code: "R49",
  title: "what reaches no queue, no exchange or a full queue is never confirmed, harms no other exchange, and arrives after the repair",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq"],
  why: "Exchanges, bindings and length limits are RabbitMQ's.",
  scaled: { messages: 40, rounds: 60, everyMs: 100, slowerMaxMs: 1_000, repairedMaxMs: 30_000 },
  full: { messages: 2_000, rounds: 3_000, everyMs: 100, slowerMaxMs: 1_000, repairedMaxMs: 30_000 },
  async play(rig, { messages, rounds, everyMs, slowerMaxMs, repairedMaxMs }) {
    const { broker } = rig.servers;
    const { ctl } = broker;
    rig.effort("brokers of our own", ctl === null ? 0 : 1, 1);
    if (ctl === null) return;
    const tapped = tapTopics(rig);
    const group = `${tapped.prefix}-group`;
    const [good, deleted, full] = [
      await tapped.make("good"),
      await tapped.make("deleted"),
      await tapped.make("full", { partitions: 1, groups: [group] }),
    ];
    const unbound = `${tapped.prefix}-unbound`;
    const ill = [unbound, deleted.topic, full.topic];
    const relayArgs = ["--attempts-max", "1", "--rabbitmq-partitions", "1", "--topic-backoff-max-ms", "1000", "--spill-after-ms", "600000"];
    const delivery = await openDelivery(rig, { transport: broker.url, relayArgs, received: () => tapped.received });
    // A queue of a consumer that is away.
    const away = openReceiver(rig, delivery.place, { consumer: "away" });
    const source = { brokerUrl: broker.url, topic: full.topic, group, partitions: 1, sessionTimeoutMs: 10_000, onEvent: away.onEvent };
    const running = away.run(openBrokerSource(source));
    await waitUntil(() => away.count("source.joined") > 0 || rig.signal.aborted, { what: "the queue is there", deadlineMs: 60_000 });
    await running.stop();

    const measure = (): Promise<number> =>
      measureArrivals(rig, delivery, {
        rounds,
        everyMs,
        rows: (round) => [{ topic: good.topic, key: `key-${round % 7}` }],
        arrivedMs: tapped.arrivedMs,
      });
    await delivery.relay.start();
    await delivery.write([good.topic, deleted.topic].map((topic) => ({ topic, key: null })));
    await waitUntil(() => tapped.received.length >= 2 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const before = await measure();

    const policy = `${tapped.prefix}-full`;
    await ctl("set_policy", policy, `^${group}`, '{"max-length":5,"overflow":"reject-publish"}', "--apply-to", "queues");
    rig.defer(() => ctl("clear_policy", policy).catch(() => undefined)); // it was cleared, or its broker is gone
    const { remove } = await openBrokerTopics({ url: broker.url, topics: [deleted.topic], partitions: 1, queues: [] });
    await remove();
    const written = await delivery.write(
      Array.from({ length: messages * ill.length }, (_, index) => ({ topic: ill[index % ill.length] as string, key: `key-${index % 11}` })),
    );
    const reachNobody = written.filter((_, index) => ill[index % ill.length] !== full.topic);
    const refusals = (topic: string): number =>
      delivery.told.filter(({ event }) => event["name"] === "relay.retrying" && event["topic"] === topic).length;
    await waitUntil(() => ill.every((topic) => refusals(topic) > 0) || rig.signal.aborted, {
      what: "each was refused",
      deadlineMs: 60_000,
    });
    const during = await measure();
    rig.within("p99 of the other exchange's arrival", during, before + slowerMaxMs);
    for (const topic of ill) rig.fault(topic.slice(tapped.prefix.length + 1), refusals(topic) > 0);
    rig.demand(
      "what reached nobody was received",
      reachNobody.every((id) => tapped.arrivedMs(id) === undefined),
    );
    const standing = await delivery.place.ask(readLedgerStanding);
    rig.demand("what reached nobody counts as published", !standing.isQuiet);

    const repairedMs = performance.now();
    await tapped.make("unbound");
    await tapped.make("deleted");
    await ctl("clear_policy", policy);
    await waitUntil(() => written.every((id) => tapped.arrivedMs(id) !== undefined) || rig.signal.aborted, {
      what: "all arrive after the repair",
      deadlineMs: 120_000,
    });
    await delivery.isQuiet();
    rig.within("all arrived after the repair", performance.now() - repairedMs, repairedMaxMs);
    await good.readToEnd();
    const { deadLetters } = await delivery.end();
    rig.demand(`${deadLetters.length} messages used up their try`, deadLetters.length === 0);
  },
});
