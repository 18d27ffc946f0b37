/**
 * R61. A relay is told to wait for less than the broker's word, or finds a queue that deletes what was confirmed: it does not start, says why, and publishes
 * nothing. When that is put right it does.
 */
import { startChild, waitUntil } from "@waybill/testing";
import { openBrokerSource } from "../broker-source.ts";
import { openDelivery } from "../delivery.ts";
import { ownPrograms } from "../load.ts";
import { openReceiver } from "../receiver.ts";
import { scenario } from "../scenario.ts";
import { tapTopics } from "../tapped-topics.ts";

/** What a relay might be asked for that would lose messages: there are no such settings. */
const unsafe = [
  ["--kafka-acks", "1"],
  ["--rabbitmq-confirms", "off"],
  ["--rabbitmq-mandatory", "false"],
] as const;

export const unsafeSettings = scenario({
  code: "R61",
  title: "a relay that would publish without the broker's word, or into a queue that deletes messages, does not start",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq"],
  why: "A queue that deletes its oldest messages is RabbitMQ's.",
  scaled: { messages: 50, endsWithinMs: 30_000 },
  full: { messages: 5_000, endsWithinMs: 30_000 },
  async play(rig, { messages, endsWithinMs }) {
    const { broker } = rig.servers;
    const { ctl, started } = broker;
    const managementUrl = started !== null && "managementUrl" in started ? String(started.managementUrl) : null;
    rig.effort("brokers of our own", ctl === null || managementUrl === null ? 0 : 1, 1);
    if (ctl === null || managementUrl === null) return;
    const tapped = tapTopics(rig);
    const group = `${tapped.prefix}-group`;
    const { topic, readToEnd } = await tapped.make("notes", { partitions: 1, groups: [group] });
    const looks = ["--topics", topic, "--rabbitmq-partitions", "1", "--rabbitmq-management-url", managementUrl];
    const delivery = await openDelivery(rig, { transport: broker.url, relayArgs: looks, received: () => tapped.received });
    const away = openReceiver(rig, delivery.place, { consumer: "away" });
    const source = { brokerUrl: broker.url, topic, group, partitions: 1, sessionTimeoutMs: 10_000, onEvent: away.onEvent };
    const running = away.run(openBrokerSource(source));
    await waitUntil(() => away.count("source.joined") > 0 || rig.signal.aborted, { what: "the queue is there", deadlineMs: 60_000 });
    await running.stop();
    const ids = await delivery.write(Array.from({ length: messages }, (_, index) => ({ topic, key: `key-${index % 7}` })));

    /** Starts a relay; answers its exit code, or null if it went on, and what it wrote. */
    const attempt = async (args: readonly string[]): Promise<{ readonly code: number | null; readonly output: string }> => {
      const env = { WAYBILL_DATABASE: delivery.place.url, WAYBILL_TRANSPORT: broker.url };
      const said: string[] = [];
      const child = await startChild(ownPrograms.cli, {
        args: ["relay", "--admin", "off", ...args],
        env,
        onEvent: (event) => said.push(JSON.stringify(event)),
      });
      const deadline = setTimeout(() => child.kill("SIGKILL"), endsWithinMs);
      const { code } = await child.exited;
      clearTimeout(deadline);
      return { code, output: `${said.join("\n")}\n${child.output()}` };
    };
    for (const args of unsafe) {
      const { code, output } = await attempt(args);
      rig.fault(`a relay with ${args.join(" ")}`, true);
      rig.demand(`a relay with ${args.join(" ")} ended with ${code} and not as a wrong use`, code === 2 && output.includes(args[0]));
    }
    const policy = `${tapped.prefix}-drops`;
    await ctl("set_policy", policy, `^${group}`, '{"max-length":10,"overflow":"drop-head"}', "--apply-to", "queues");
    rig.defer(() => ctl("clear_policy", policy).catch(() => undefined)); // it was cleared, or its broker is gone
    const says = (word: string): Promise<boolean> => managementSays(managementUrl, `/api/queues/%2F/${group}.${topic}.0`, word);
    // The management API, which the relay asks, tells of a policy seconds after it is in force.
    await waitUntil(async () => rig.signal.aborted || (await says("drop-head")), { what: "the policy is seen", intervalMs: 500 });
    const { code, output } = await attempt(looks);
    rig.fault("a queue that deletes its oldest messages", true);
    rig.demand(`a relay into a queue that deletes messages ended with ${code}`, code !== null && code !== 0);
    rig.demand(
      "it did not say what is wrong with the queue",
      output.includes("WAYBILL_TOPOLOGY") || output.includes("would lose messages"),
    );
    rig.demand("a relay that refused to start has published", tapped.received.length === 0);

    await ctl("clear_policy", policy);
    await waitUntil(async () => rig.signal.aborted || !(await says("drop-head")), { what: "the policy is gone", intervalMs: 500 });
    await delivery.relay.start();
    await waitUntil(() => ids.every((id) => tapped.arrivedMs(id) !== undefined) || rig.signal.aborted, {
      what: "a relay with nothing against it publishes",
      deadlineMs: 60_000,
    });
    await delivery.isQuiet();
    await readToEnd();
    await delivery.end();
  },
});

/** Asks RabbitMQ's management API. */
async function managementSays(managementUrl: string, path: string, word: string): Promise<boolean> {
  const { origin, username, password } = new URL(managementUrl);
  const authorization = `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
  const response = await fetch(`${origin}${path}`, { headers: { authorization }, signal: AbortSignal.timeout(5_000) });
  return (await response.text()).includes(word);
}
