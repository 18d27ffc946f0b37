/**
 * R33. The relay that has the lease is killed at each of its events, one after the other: the other one takes over when the lease has run out, publishes
 * again what was not saved, and loses nothing.
 */
import { holderEvents as events } from "../holder-events.ts";
import { scenario } from "../scenario.ts";

/** At these a batch is at the broker and its ids are not saved: it must be published again. */
const afterPublish: ReadonlySet<string> = new Set(["relay.published", "relay.cursorSaving"]);

export const relayKilled = scenario({
  code: "R33",
  title: "a relay killed at any of its events is replaced within its lease and two seconds, and nothing is lost",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 1, eventsMax: 5, leaseMs: 3_000, beyondMs: 2_000 },
  full: { rounds: 50, eventsMax: events.length, leaseMs: 10_000, beyondMs: 2_000 },
  async play(rig, { rounds, eventsMax, leaseMs, beyondMs }) {
    const load = await rig.openLoad({ leaseMs, tellsAll: true });
    const takeoverMaxMs = leaseMs + beyondMs;
    let kills = 0;
    let killsAfterPublish = 0;
    for (let round = 0; round < rounds; round += 1) {
      const first = Math.floor(rig.random.fraction() * events.length);
      const chosen = Array.from({ length: eventsMax }, (_, index) => events[(first + index * 2) % events.length] as string);
      if (!chosen.some((event) => afterPublish.has(event))) chosen.push("relay.published");
      for (const event of chosen) {
        const victim = load.holder();
        load.dieAt(victim, event, { nth: 1 + Math.floor(rig.random.fraction() * 3) });
        const hasDied = await victim.seat.gone(10_000);
        rig.fault(`kill the relay at ${event}`, hasDied);
        if (!hasDied) {
          await victim.seat.kill();
          await load.comesBack(victim);
          continue;
        }
        kills += 1;
        if (afterPublish.has(event)) killsAfterPublish += 1;
        const diedMs = performance.now();
        const next = await load.waitFor(({ who, event: { name } }) => who !== victim.seat.name && name === "relay.published", {
          what: "the other relay publishes",
          deadlineMs: 60_000,
        });
        rig.within(`kill at ${event}: the other relay published`, next.atMs - diedMs, takeoverMaxMs);
        await load.comesBack(victim);
      }
    }
    const { verdict } = await rig.endLoad(load);
    rig.effort("kills of the holder", kills, Math.floor((rounds * eventsMax) / 2));
    if (killsAfterPublish > 0) rig.effort("messages published again", verdict.counts.repeated, 1);
  },
});
