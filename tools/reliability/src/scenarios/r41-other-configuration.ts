/** R41. A second relay of the same subscription has another configuration: it stands by, names both, and takes over only when the lease is free. */
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const otherConfiguration = scenario({
  code: "R41",
  title: "a second relay with another configuration stands by and names both, and takes over when the lease is free",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { deployments: 2, rows: 200 },
  full: { deployments: 50, rows: 2_000 },
  async play(rig, { deployments, rows }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relays: 2 });
    const [one, other] = delivery.relays.map(({ seat }) => seat) as [typeof delivery.relay, typeof delivery.relay];
    const isOf = (who: string, wanted: string) => (event: Readonly<Record<string, unknown>>, teller: string) =>
      teller === who && event["name"] === wanted;
    await delivery.comesBack(one);
    let [holder, comer] = [one, other];
    const named = new Set<string>();
    for (let turn = 0; turn < deployments; turn += 1) {
      delivery.relayArgs = ["--attempts-max", String(7 + turn)];
      const from = delivery.told.length;
      await comer.start();
      const { event } = await delivery.waitFor(isOf(comer.name, "relay.configDiffers"), {
        what: "the second says that its configuration is another",
        deadlineMs: 60_000,
        from,
      });
      rig.demand("both configurations are named alike", event["ours"] !== event["theirs"]);
      rig.fault("another configuration", event["ours"] !== event["theirs"]);
      named.add(String(event["ours"]));
      await delivery.write(Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 9}` })));
      await delivery.isQuiet();
      const taken = delivery.told.slice(from).filter(({ event: { name } }) => name === "relay.leaseAcquired").length;
      rig.demandWhenCalm(`the lease went from hand to hand ${taken} times while its holder ran`, taken === 0);
      const endedFrom = delivery.told.length;
      await holder.end(20_000);
      await delivery.waitFor(isOf(comer.name, "relay.leaseAcquired"), {
        what: "the second takes over",
        deadlineMs: 30_000,
        from: endedFrom,
      });
      [holder, comer] = [comer, holder];
    }
    await delivery.end();
    rig.effort("configurations that were named", named.size, deployments);
    rig.effort("messages received", endpoint.received.length, deployments * rows);
  },
});
