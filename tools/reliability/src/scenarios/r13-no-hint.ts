/** R13. An application commits with plain SQL, and nobody tells the relay: what it wrote is published within a wait of the poll. */
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const noHint = scenario({
  code: "R13",
  title: "what was committed with plain SQL and without a hint is published within a wait of the poll",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  // Between two rounds the poll has slowed down to its longest wait. `wayMs`: the read, and the way to the destination.
  scaled: { rounds: 12, everyMs: 1_700, pollMaxMs: 400, wayMs: 200 },
  full: { rounds: 500, everyMs: 2_500, pollMaxMs: 400, wayMs: 200 },
  async play(rig, { rounds, everyMs, pollMaxMs, wayMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--poll-max-ms", String(pollMaxMs)];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relayArgs });
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();
    const rows = (round: number) => [{ topic: "notes", key: `key-${round}` }];
    const took = await measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: endpoint.arrivedMs });
    rig.within("p99 of the arrival", took, pollMaxMs + wayMs);
    await delivery.isQuiet();
    await delivery.end();
    rig.effort("messages received", endpoint.received.length, rounds);
  },
});
