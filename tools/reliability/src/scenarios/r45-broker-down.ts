/**
 * R45. The broker is away for long while writers go on: they do not notice, the relay says that it is not ready and keeps within its memory, and when the
 * broker is back it publishes several times as fast as messages come in.
 */
import { freePort, waitUntil } from "@waybill/testing";
import type { Load } from "../load.ts";
import { memoryOf } from "../memory.ts";
import { readReadiness } from "../readiness.ts";
import type { Rig } from "../rig.ts";
import { scenario } from "../scenario.ts";

const mebibyte = 1_048_576;
const warmMs = 2_000;

export const brokerDown = scenario({
  code: "R45",
  title: "while the broker is away writers do not notice and the relay says so within its memory; then it catches up",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: {
    downMs: 12_000,
    frozenMs: 0,
    perSecond: 60,
    slower: 1.2,
    slackMs: 25,
    memoryMaxMiB: 200,
    catchUpTimes: 3,
    readyMaxAgeMs: 3_000,
  },
  full: {
    downMs: 300_000,
    frozenMs: 1_800_000,
    perSecond: 300,
    slower: 1.2,
    slackMs: 5,
    memoryMaxMiB: 200,
    catchUpTimes: 3,
    readyMaxAgeMs: 30_000,
  },
  async play(rig, { downMs, frozenMs, perSecond, slower, slackMs, memoryMaxMiB, catchUpTimes, readyMaxAgeMs }) {
    const { started } = rig.servers.broker;
    rig.effort("brokers of our own", started === null ? 0 : 1, 1);
    if (started === null) return;
    const admin = `127.0.0.1:${await freePort()}`;
    const relayArgs = ["--admin", admin, "--ready-max-age-ms", String(readyMaxAgeMs)];
    const load = await rig.openLoad({ relays: 1, perSecond, relayArgs });
    const relay = load.relays[0]?.seat;
    await rig.pause(warmMs);
    const beforeMs = await commitsP99(rig, load, 5_000);

    /** One outage; `begin` brings it about, `end` resolves when the broker takes messages again. */
    const outage = async (kind: string, forMs: number, begin: () => Promise<void>, end: () => Promise<void>): Promise<void> => {
      await begin();
      const endsMs = performance.now() + forMs;
      let unready: readonly string[] = [];
      let mostBytes = 0;
      const during = commitsP99(rig, load, forMs);
      while (performance.now() < endsMs && !rig.signal.aborted) {
        await rig.pause(500);
        const { isReady, reasons } = await readReadiness(admin);
        if (!isReady && reasons.length > 0) unready = reasons;
        mostBytes = Math.max(mostBytes, memoryOf(relay?.pid() ?? null).bytes);
      }
      const { committed, received } = load.progress();
      rig.fault(kind, committed - received > 0);
      rig.effort(`${kind}: messages that waited`, committed - received, (perSecond * forMs) / 1_000 / 4);
      rig.within(`${kind}: p99 of the commits`, await during, beforeMs * slower + slackMs);
      rig.demandWhenCalm(`${kind}: the relay was ready all the while, or did not say why not`, unready.length > 0);
      rig.demand(`${kind}: the relay took ${Math.round(mostBytes / mebibyte)} MiB`, mostBytes > 0 && mostBytes <= memoryMaxMiB * mebibyte);

      await end();
      const backMs = performance.now();
      const atFirst = load.progress();
      await waitUntil(() => load.progress().received >= committed || rig.signal.aborted, { what: "it catches up", deadlineMs: 180_000 });
      const seconds = (performance.now() - backMs) / 1_000;
      const now = load.progress();
      const inflow = (now.committed - atFirst.committed) / seconds;
      const outflow = (now.received - atFirst.received) / seconds;
      const times = outflow / Math.max(inflow, 1);
      rig.say(`${kind}: ${Math.round(outflow)} a second went out and ${Math.round(inflow)} came in, for ${seconds.toFixed(1)} s`);
      rig.demandWhenCalm(`${kind}: it caught up ${times.toFixed(1)} times as fast as messages came in`, times >= catchUpTimes);
      await waitUntil(async () => rig.signal.aborted || (await readReadiness(admin)).isReady, { what: "it is ready again" });
    };
    await outage(
      "the broker is away",
      downMs,
      () => started.kill("SIGKILL"),
      () => started.restart(),
    );
    if (frozenMs > 0)
      await outage(
        "the broker is frozen",
        frozenMs,
        () => started.kill("SIGSTOP"),
        () => started.kill("SIGCONT"),
      );
    await rig.endLoad(load);
  },
});

/** How long commits took that are told in the time to come. */
async function commitsP99(rig: Rig, load: Load, forMs: number): Promise<number> {
  const from = load.told.length;
  await rig.pause(forMs);
  const took = load.told
    .slice(from)
    .flatMap(({ event }) => (Array.isArray(event["tookMs"]) ? (event["tookMs"] as unknown[]).map(Number) : []))
    .toSorted((left, right) => left - right);
  return took[Math.floor(took.length * 0.99)] ?? 0;
}
