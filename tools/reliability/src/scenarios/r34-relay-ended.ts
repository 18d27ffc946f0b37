/**
 * R34. The holder is told to end (SIGTERM) at each of its events, twice in a row, and as a rolling deployment does it: it ends with 0, another goes on at
 * once, and nothing stays leased by one that is gone.
 */
import { holderEvents as events } from "../holder-events.ts";
import type { Load, LoadPart } from "../load.ts";
import { scenario } from "../scenario.ts";

const graceMs = 10_000;

export const relayEnded = scenario({
  code: "R34",
  title: "a relay that is told to end at any of its events ends in time, and another goes on within a second",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 1, eventsMax: 4, deployments: 1, leaseMs: 3_000, handOverMs: 1_000 },
  full: { rounds: 20, eventsMax: events.length, deployments: 10, leaseMs: 10_000, handOverMs: 1_000 },
  async play(rig, { rounds, eventsMax, deployments, leaseMs, handOverMs }) {
    const load = await rig.openLoad({ leaseMs, tellsAll: true, relays: 3 });
    let ended = 0;
    const first = Math.floor(rig.random.fraction() * events.length);
    for (let turn = 0; turn < rounds * eventsMax; turn += 1) {
      const event = events[(first + turn * 3) % events.length] as string;
      const victim = load.holder();
      const from = load.told.length;
      load.dieAt(victim, event, { signal: "SIGTERM" });
      const hasEnded = await victim.seat.gone(graceMs);
      rig.fault(`SIGTERM at ${event}`, hasEnded);
      rig.demand(`a relay did not end within ${graceMs} ms of SIGTERM at ${event}`, hasEnded);
      if (!hasEnded) continue;
      ended += 1;
      // Events of this name may have come before the order did: the signal was raised at the last one before it was noticed.
      const mine = load.told.slice(from).filter(({ who }) => who === victim.seat.name);
      const noticed = mine.findIndex(({ event: { name } }) => name === "cli.stopping");
      const toldMs = mine.slice(0, noticed).findLast(({ event: { name } }) => name === event)?.atMs ?? mine[noticed]?.atMs ?? 0;
      const tookMs = (await goesOn(load, victim, from)) - toldMs;
      rig.within(`SIGTERM at ${event}: another relay published`, tookMs, handOverMs);
      await load.comesBack(victim);
    }

    // Told a second time it does not drain any more; whoever takes over waits for the lease at most.
    const hasty = load.holder();
    const from = load.told.length;
    const pid = hasty.seat.pid();
    const toldMs = performance.now();
    const ending = hasty.seat.end(graceMs);
    if (pid !== null) process.kill(pid, "SIGTERM");
    const code = await ending;
    rig.fault("SIGTERM twice", code !== null);
    rig.demand(`SIGTERM twice: exit code ${code}`, code === 0 || code === 1);
    rig.within("SIGTERM twice: another relay published", (await goesOn(load, hasty, from)) - toldMs, leaseMs + 2_000);
    await load.comesBack(hasty);

    for (let turn = 0; turn < deployments; turn += 1) {
      for (const part of load.relays) {
        const isHolder = part === load.holder();
        const before = load.told.length;
        const beganMs = performance.now();
        const exitCode = await part.seat.end(graceMs);
        rig.demand(`a relay of a deployment ended with ${exitCode}`, exitCode === 0);
        if (isHolder) rig.within("deployment: another relay published", (await goesOn(load, part, before)) - beganMs, handOverMs);
        rig.fault("deploy a relay", exitCode === 0);
        await load.comesBack(part);
      }
    }
    await rig.endLoad(load);
    rig.effort("relays that ended at an event", ended, rounds * eventsMax);
  },
});

/** When a relay other than this one, which has ended since `from`, published first after taking over. */
async function goesOn(load: Load, { seat }: LoadPart, from: number): Promise<number> {
  const isOther = (who: string): boolean => who.startsWith("relay") && who !== seat.name;
  const taken = await load.waitFor(({ who, event }) => isOther(who) && event["name"] === "relay.leaseAcquired", {
    what: "another relay has the lease",
    from,
  });
  const after = load.told.indexOf(taken);
  const published = await load.waitFor(({ who, event }) => isOther(who) && event["name"] === "relay.published", {
    what: "another relay publishes",
    from: after,
  });
  return published.atMs;
}
