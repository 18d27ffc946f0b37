/**
 * R54. The destination refuses one message of a key five times, and the relay is killed after the third: what follows it in its key waits all the while,
 * what is of other keys does not.
 */
import { waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { scenario } from "../scenario.ts";

export const keyFails = scenario({
  code: "R54",
  title: "a message that fails again and again keeps its place in its key, over a restart too, and holds up no other key",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { keys: 2, failures: 5, failuresBefore: 3, followers: 20, others: 40, othersMaxMs: 1_000 },
  full: { keys: 20, failures: 12, failuresBefore: 6, followers: 200, others: 400, othersMaxMs: 1_000 },
  async play(rig, { keys, failures, failuresBefore, followers, others, othersMaxMs }) {
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--message-backoff-first-ms", "400", "--message-backoff-max-ms", "1000"];
    const delivery = await openDelivery(rig, { transport: endpoint.url, relayArgs, leaseMs: 3_000, received: () => endpoint.received });
    /** Writes to other keys a few times, and answers the longest that it took until all had arrived. */
    const measure = async (): Promise<number> => {
      let longestMs = 0;
      for (let at = 0; at < others; at += 10) {
        const ids = new Set(await delivery.write(Array.from({ length: 10 }, (_, index) => ({ topic: "notes", key: `other-${index}` }))));
        const writtenMs = performance.now();
        const arrived = (): boolean => endpoint.received.filter(({ messageId }) => ids.has(messageId)).length >= ids.size;
        await waitUntil(() => arrived() || rig.signal.aborted, { what: "other keys flow", deadlineMs: 60_000 });
        longestMs = Math.max(longestMs, performance.now() - writtenMs);
      }
      return longestMs;
    };
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await waitUntil(() => endpoint.received.length > 0 || rig.signal.aborted, { what: "the relay is at work", deadlineMs: 60_000 });
    const usualMs = await measure();
    let isFailing = true;
    endpoint.answer = ({ key }) => ({ status: isFailing && key?.startsWith("failing") === true ? 409 : 200 });
    const failing = Array.from({ length: keys }, (_, index) => `failing-${index}`);
    const heads = new Set(await delivery.write(failing.map((key) => ({ topic: "notes", key }))));
    await delivery.write(Array.from({ length: followers * keys }, (_, index) => ({ topic: "notes", key: failing[index % keys] ?? null })));
    const passed = (): number =>
      endpoint.arrivals.filter(({ key, messageId }) => key?.startsWith("failing") === true && !heads.has(messageId)).length;
    const refused = (): number => endpoint.arrivals.filter(({ messageId }) => heads.has(messageId)).length;
    await waitUntil(() => refused() >= keys * failuresBefore || passed() > 0 || rig.signal.aborted, {
      what: "it is refused often enough",
      deadlineMs: 60_000,
    });
    rig.fault("kill the relay between two tries", await delivery.relay.kill());
    await delivery.relay.start();
    const before = refused();
    await waitUntil(() => refused() > before || passed() > 0 || rig.signal.aborted, {
      what: "it is tried again after the restart",
      deadlineMs: 60_000,
    });

    rig.within("messages of other keys arrived", await measure(), usualMs + othersMaxMs);
    await waitUntil(() => refused() >= keys * failures || passed() > 0 || rig.signal.aborted, {
      what: "it has failed as often as it was to",
      deadlineMs: 60_000,
    });
    rig.demand(`${passed()} messages of the failing keys passed the one that fails`, passed() === 0);
    isFailing = false;
    await delivery.isQuiet();
    await delivery.end();
    rig.effort("refusals", refused(), keys * failures);
  },
});
