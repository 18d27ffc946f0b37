/** R39. Eight relays of one subscription start in the same moment over many waiting rows: one of them reads, and each row is sent once. */
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const manyStart = scenario({
  code: "R39",
  title: "of eight relays that start together one reads, and each waiting row is sent once",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { relays: 8, rows: 4_000, leaseMs: 15_000 },
  full: { relays: 8, rows: 10_000, leaseMs: 10_000 },
  async play(rig, { relays, rows, leaseMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    // An answer that is late is no answer, and would be asked for again: nothing here is to be late.
    const relayArgs = ["--publish-deadline-ms", "60000", "--http-deadline-ms", "60000"];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relayArgs, relays, leaseMs });
    await delivery.write(Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 200}` })));
    await Promise.all(delivery.relays.map(({ seat }) => seat.start()));
    for (const { seat } of delivery.relays) {
      const isUp = ({ name }: Readonly<Record<string, unknown>>, who: string): boolean =>
        who === seat.name && (name === "relay.leaseAcquired" || name === "relay.standby");
      await delivery.waitFor(isUp, { what: `${seat.name} is up`, deadlineMs: 120_000, from: 0 });
    }
    await delivery.isQuiet(120_000);
    const holders = delivery.told.filter(({ event }) => event["name"] === "relay.leaseAcquired");
    const standing = new Set(delivery.told.filter(({ event }) => event["name"] === "relay.standby").map(({ who }) => who));
    rig.effort("relays that stood by", standing.size, relays - 1);
    rig.demandWhenCalm(`the lease was taken ${holders.length} times`, holders.length === 1);
    rig.demandWhenCalm(`${endpoint.arrivals.length} requests for ${rows} rows`, endpoint.arrivals.length === rows);
    await delivery.end();
  },
});
