/**
 * R66. What was committed is not settled: RabbitMQ's connection is cut between commit and ack, again and again, and a Kafka group is sent back to the
 * beginning. The messages come again, the inbox knows them, and nobody acks on a channel what another one delivered.
 */
import { waitUntil } from "@waybill/testing";
import { openBrokerSource } from "../broker-source.ts";
import { openDelivery } from "../delivery.ts";
import { createEffectTable, effectsOf, openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";
import { tapTopics } from "../tapped-topics.ts";

const consumer = "forgotten";
const partitions = 2;

export const settlementLost = scenario({
  code: "R66",
  title: "a message that was committed and not settled comes again and is known, and no channel ends by a stale ack",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { cuts: 10, each: 20, back: 500 },
  full: { cuts: 100, each: 20, back: 500 },
  async play(rig, { cuts, each, back }) {
    const { broker } = rig.servers;
    const tapped = tapTopics(rig);
    const groups = ["before", "after"].map((name) => `${tapped.prefix}-${name}`) as [string, string];
    const topic = await tapped.make("notes", { partitions, groups: rig.broker === "kafka" ? groups : [groups[0]] });
    const delivery = await openDelivery(rig, {
      transport: broker.url,
      relayArgs: rig.broker === "rabbitmq" ? ["--rabbitmq-partitions", String(partitions)] : [],
      received: () => tapped.received,
      consumers: [effectsOf(consumer)],
    });
    await createEffectTable(delivery.place);
    const door = broker.doors.consumers;
    let isArmed = false;
    const receiver = openReceiver(rig, delivery.place, {
      consumer,
      onEvent: ({ name }) => {
        if (name !== "inbox.settling" || !isArmed) return;
        isArmed = false;
        const links = door?.proxy.cutAll() ?? 0;
        rig.fault("cut the connection between commit and ack", links > 0);
      },
    });
    const source = (group: string) =>
      openBrokerSource({
        brokerUrl: door?.url ?? broker.url,
        topic: topic.topic,
        group,
        partitions,
        sessionTimeoutMs: 10_000,
        onEvent: receiver.onEvent,
      });
    let written = 0;
    const write = async (rows: number): Promise<void> => {
      await delivery.write(Array.from({ length: rows }, (_, index) => ({ topic: topic.topic, key: `key-${index % 7}` })));
      written += rows;
    };
    const until = (what: string, condition: () => boolean): Promise<boolean> =>
      waitUntil(() => rig.signal.aborted || condition(), { what, deadlineMs: 120_000 });
    const joined = (): number => receiver.count("source.joined");

    const first = receiver.run(source(groups[0]));
    await until("it takes messages", () => joined() >= (rig.broker === "kafka" ? 1 : partitions));
    await delivery.relay.start();
    if (rig.broker === "rabbitmq") {
      for (let cut = 0; cut < cuts && !rig.signal.aborted; cut += 1) {
        const before = receiver.count("inbox.duplicate");
        isArmed = true;
        await write(each);
        await until("what was not settled is found to be done", () => receiver.count("inbox.duplicate") > before);
        await until("all is handled", () => receiver.count("inbox.committed") >= written);
      }
      await first.stop();
      rig.effort("cuts between commit and ack", rig.faults.filter(({ isObserved }) => isObserved).length, cuts);
    } else {
      await write(back);
      await until("all is handled", () => receiver.count("inbox.committed") >= written);
      await first.stop();
      // A group that comes for the first time begins at the beginning: for the inbox, the same consumer's seek back.
      const second = receiver.run(source(groups[1]));
      await until("all of them are found to be done", () => receiver.count("inbox.duplicate") >= back);
      rig.fault(`seek back by ${back}`, true);
      await second.stop();
    }
    rig.effort("messages that the inbox knew", receiver.count("inbox.duplicate"), rig.broker === "kafka" ? back : cuts);
    rig.demand("a message was committed twice", receiver.count("inbox.committed") === written);
    const stale = receiver.told.filter((event) => event.name === "source.rebuilding" && event.reason.includes("406"));
    rig.demand(`${stale.length} channels ended by a tag that was not theirs`, stale.length === 0);
    rig.demand("an attempt was used up", receiver.count("inbox.handlerFailed") === 0);
    await delivery.isQuiet();
    await topic.readToEnd();
    await delivery.end();
  },
});
