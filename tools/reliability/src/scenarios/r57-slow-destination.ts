/**
 * R57. One destination answers after a long time, and one key of another always fails: other keys and other destinations are as fast as before, but for a
 * second at most.
 */
import { waitUntil } from "@waybill/testing";
import { measureArrivals } from "../arrival-times.ts";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const slowDestination = scenario({
  code: "R57",
  title: "neither a destination that answers late nor a key that always fails makes others wait",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { slowMs: 3_000, slow: 100, failing: 20, rounds: 60, everyMs: 50, slowerMaxMs: 1_000 },
  full: { slowMs: 10_000, slow: 5_000, failing: 1_000, rounds: 3_000, everyMs: 50, slowerMaxMs: 1_000 },
  async play(rig, { slowMs, slow, failing, rounds, everyMs, slowerMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = [
      "--attempts-max",
      "1000000",
      "--message-backoff-max-ms",
      "1000",
      "--publish-deadline-ms",
      "20000",
      "--http-deadline-ms",
      "15000",
    ];
    const delivery = await openDelivery(rig, { transport: endpoint.url, relayArgs, received: () => endpoint.received });
    let slowAnswers = 0;
    let refusals = 0;
    let isOver = false;
    endpoint.answer = ({ topic, key }) => {
      if (!isOver && topic === "slow") {
        slowAnswers += 1;
        return { status: 200, afterMs: slowMs };
      }
      if (!isOver && key === "failing") {
        refusals += 1;
        return { status: 409 };
      }
      return { status: 200 };
    };
    const measure = (): Promise<number> =>
      measureArrivals(rig, delivery, {
        rounds,
        everyMs,
        arrivedMs: endpoint.arrivedMs,
        rows: (round) => [
          { topic: "quick", key: `key-${round % 7}` },
          { topic: "other", key: `key-${round % 5}` },
        ],
      });
    await delivery.relay.start();
    await delivery.write([{ topic: "quick", key: null }]);
    await waitUntil(() => endpoint.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const before = await measure();
    await delivery.write(Array.from({ length: slow }, (_, index) => ({ topic: "slow", key: `key-${index % 50}` })));
    await delivery.write(Array.from({ length: failing }, () => ({ topic: "quick", key: "failing" })));
    await waitUntil(() => (slowAnswers > 0 && refusals > 0) || rig.signal.aborted, { what: "both are met", deadlineMs: 60_000 });
    const during = await measure();
    rig.within("p99 of others' arrival", during, before + slowerMaxMs);
    rig.fault("a slow destination", slowAnswers > 0);
    rig.fault("a key that always fails", refusals > 0);
    rig.effort("refusals", refusals, 3);
    isOver = true;
    await delivery.isQuiet(120_000);
    await delivery.end();
  },
});
