/**
 * R40. The holder dies while very many rows wait, and while few do: the other one publishes as soon in both cases, for a takeover changes one row and reads
 * no more than its first batch.
 */
import { readLeaseWrites, testName } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { scenario } from "../scenario.ts";
import { openTappedTopic } from "../tapped-topic.ts";

export const takeoverBacklog = scenario({
  code: "R40",
  title: "a relay that dies before many waiting rows is replaced as soon as one that dies before few",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["kafka", "rabbitmq"],
  scaled: { few: 500, many: 40_000, leaseMs: 3_000, beyondMs: 2_000, slowerMaxMs: 1_500 },
  full: { few: 500, many: 1_000_000, leaseMs: 10_000, beyondMs: 2_000, slowerMaxMs: 1_500 },
  async play(rig, { few, many, leaseMs, beyondMs, slowerMaxMs }) {
    const topic = testName("reliability-notes");
    const tap = await openTappedTopic(rig, topic);
    const options = { transport: rig.servers.broker.url, received: () => tap.received, relays: 2, leaseMs, tellsAll: true };
    const delivery = await openDelivery(rig, options);
    const rows = (count: number) => Array.from({ length: count }, (_, index) => ({ topic, key: `key-${index % 200}` }));
    for (const { seat } of delivery.relays) await delivery.comesBack(seat);
    const takeover = async (count: number): Promise<number> => {
      const holder = delivery.told.findLast(({ event }) => event["name"] === "relay.leaseAcquired")?.who;
      const part = delivery.relays.find(({ seat }) => seat.name === holder);
      if (part === undefined) return 0;
      delivery.dieAt("relay.published", 1, part.seat);
      const from = delivery.told.length;
      await delivery.write(rows(count));
      const hasDied = await part.seat.gone(30_000);
      const diedMs = performance.now();
      rig.fault(`kill the relay before ${count} rows`, hasDied);
      const taken = await delivery.waitFor(({ name }, who) => who !== holder && name === "relay.leaseAcquired", {
        what: "the other relay takes over",
        from,
      });
      const writes = await delivery.place.ask(readLeaseWrites);
      const epoch = Number(taken.event["epoch"]);
      rig.effort("writes of the lease by its new holder", writes.filter((write) => write.epoch === epoch).length, 1);
      const published = await delivery.waitFor(({ name }, who) => who !== holder && name === "relay.published", {
        what: "the other relay publishes",
        from,
      });
      rig.within(`the other relay published before ${count} rows`, published.atMs - diedMs, leaseMs + beyondMs);
      await delivery.comesBack(part.seat);
      await delivery.isQuiet(300_000);
      return published.atMs - taken.atMs;
    };
    const usual = await takeover(few);
    const large = await takeover(many);
    rig.within("from the lease to the first publication, with many rows", large, usual + slowerMaxMs);
    await tap.readToEnd();
    await delivery.end();
    rig.effort("messages received", tap.received.length, few + many);
  },
});
