/**
 * R51. A topic is missing at the broker while messages for it come, and is made later: other topics do not notice, none of its messages uses up a try
 * (there is only one), and all are published without anybody's help.
 */
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { scenario } from "../scenario.ts";
import { tapTopics } from "../tapped-topics.ts";

export const topicMissing = scenario({
  code: "R51",
  title: "messages for a topic that is missing wait for it, use up nothing, and make no other topic wait",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["kafka", "rabbitmq"],
  scaled: { missing: 50, rounds: 60, everyMs: 100, slowerMaxMs: 1_000, recoveredMaxMs: 10_000 },
  full: { missing: 10_000, rounds: 36_000, everyMs: 100, slowerMaxMs: 1_000, recoveredMaxMs: 10_000 },
  async play(rig, { missing, rounds, everyMs, slowerMaxMs, recoveredMaxMs }) {
    const tapped = tapTopics(rig);
    const { received, arrivedMs } = tapped;
    const topics = { there: `${tapped.prefix}-there`, missing: `${tapped.prefix}-missing` };
    const there = await tapped.make("there");
    const topology = rig.broker === "rabbitmq" ? ["--rabbitmq-topology", "check"] : [];
    const relayArgs = ["--attempts-max", "1", ...topology];
    const delivery = await openDelivery(rig, { transport: rig.servers.broker.url, relayArgs, received: () => received });
    const rows = (round: number) => [{ topic: topics.there, key: `key-${round % 7}` }];
    const measure = (): Promise<number> => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs });
    await delivery.relay.start();
    await delivery.write([{ topic: topics.there, key: null }]);
    await waitUntil(() => received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const before = await measure();
    const ids = await delivery.write(Array.from({ length: missing }, (_, index) => ({ topic: topics.missing, key: `key-${index % 7}` })));
    const refused = ({ name: event, topic }: Readonly<Record<string, unknown>>): boolean =>
      event === "relay.retrying" && topic === topics.missing;
    await delivery.waitFor(refused, { what: "the broker has no such topic", deadlineMs: 60_000, from: 0 });
    const during = await measure();
    rig.within("p99 of the other topic's arrival", during, before + slowerMaxMs);
    rig.fault(
      "a topic is missing",
      ids.every((id) => arrivedMs(id) === undefined),
    );
    rig.effort("times that its breaker opened", delivery.told.filter(({ event }) => event["name"] === "relay.breakerOpened").length, 1);
    const madeMs = performance.now();
    const found = await tapped.make("missing");
    await waitUntil(() => ids.every((id) => arrivedMs(id) !== undefined) || rig.signal.aborted, {
      what: "it gets its messages",
      deadlineMs: 120_000,
    });
    rig.within("all of its messages arrived", performance.now() - madeMs, recoveredMaxMs);
    await delivery.isQuiet();
    await Promise.all([there.readToEnd(), found.readToEnd()]);
    const { deadLetters } = await delivery.end();
    rig.demand(`${deadLetters.length} messages used up their try`, deadLetters.length === 0);
  },
});
