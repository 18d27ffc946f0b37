/**
 * R38. A transport of somebody's own never settles what goes to one topic: the attempt ends at its deadline, as unknown, other topics go on, and a relay
 * that is told to end while it waits does so in time.
 */
import { fileURLToPath } from "node:url";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const silentTransport = scenario({
  code: "R38",
  title: "a transport that never settles costs an attempt its deadline, other topics nothing, and keeps no relay from ending",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: [],
  scaled: { silent: 20, rounds: 60, everyMs: 50, unknowns: 3, deadlineMs: 1_000, slowerMaxMs: 1_000, endMaxMs: 10_000 },
  full: { silent: 500, rounds: 6_000, everyMs: 50, unknowns: 100, deadlineMs: 5_000, slowerMaxMs: 1_000, endMaxMs: 10_000 },
  async play(rig, { silent, rounds, everyMs, unknowns, deadlineMs, slowerMaxMs, endMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const module = fileURLToPath(new URL("../silent-transport.js", import.meta.url));
    const delivery = await openDelivery(rig, { transport: module, received: () => endpoint.received, tellsAll: true });
    const argsOf = (isSilent: boolean): readonly string[] => {
      const backoff = ["--message-backoff-max-ms", "500", "--topic-backoff-max-ms", "500"];
      return [
        "--transport-options",
        JSON.stringify({ url: endpoint.url, isSilent }),
        "--publish-deadline-ms",
        String(deadlineMs),
        ...backoff,
      ];
    };
    delivery.relayArgs = argsOf(true);
    const rows = (round: number) => [{ topic: "notes", key: `key-${round % 9}` }];
    const measure = () => measureArrivals(rig, delivery, { rounds, everyMs, rows, arrivedMs: endpoint.arrivedMs });
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();
    const before = await measure();
    const from = delivery.told.length;
    const ids = await delivery.write(Array.from({ length: silent }, (_, index) => ({ topic: "silent", key: `key-${index % 3}` })));
    const writtenMs = performance.now();
    const isUnknown = ({ name, unknown }: Readonly<Record<string, unknown>>): boolean => name === "relay.published" && Number(unknown) > 0;
    const first = await delivery.waitFor(isUnknown, { what: "an attempt ends as unknown", from });
    rig.within("the first attempt ended as unknown", first.atMs - writtenMs, deadlineMs + 2_000);
    const during = await measure();
    rig.within("p99 of the other topic's arrival", during, before + slowerMaxMs);
    const seen = (): number => delivery.told.slice(from).filter(({ event }) => isUnknown(event)).length;
    while (seen() < unknowns) await delivery.waitFor(isUnknown, { what: "the next attempt ends as unknown", deadlineMs: 60_000 });
    rig.fault(
      "a transport that never settles",
      ids.every((id) => endpoint.arrivedMs(id) === undefined),
    );
    await delivery.waitFor(({ name }) => name === "relay.publishing", { what: "another attempt is under way", deadlineMs: 60_000 });
    const beganMs = performance.now();
    const code = await delivery.relay.end(endMaxMs + 5_000);
    rig.demand(`a relay whose transport is silent ended with ${code}`, code === 0);
    rig.within("it ended", performance.now() - beganMs, endMaxMs);
    delivery.relayArgs = argsOf(false);
    await delivery.relay.start();
    await delivery.isQuiet();
    await delivery.end();
    rig.effort("attempts that ended as unknown", seen(), unknowns);
  },
});
