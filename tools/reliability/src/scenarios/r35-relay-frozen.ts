/**
 * R35. The holder is frozen between its read and its publish until another has taken over and published, and thawed: it hands nothing over any more, its
 * writes change no row, and it says that its lease is lost.
 */
import { scenario } from "../scenario.ts";
import { isHarmless, otherTakesOver } from "../zombie.ts";

const points = ["relay.batchRead", "relay.batchApplied", "relay.publishing"] as const;

export const relayFrozen = scenario({
  code: "R35",
  title: "a relay that is frozen before it publishes and thawed after its lease publishes and writes nothing more",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 3, leaseMs: 3_000 },
  full: { rounds: 20, leaseMs: 10_000 },
  async play(rig, { rounds, leaseMs }) {
    const load = await rig.openLoad({ leaseMs, tellsAll: true });
    let thawed = 0;
    for (let round = 0; round < rounds; round += 1) {
      const point = points[round % points.length] as (typeof points)[number];
      const victim = load.holder();
      const { seat } = victim;
      const from = load.told.length;
      load.dieAt(victim, point, { signal: "SIGSTOP" });
      await load.waitFor(({ who, event }) => who === seat.name && event["name"] === point, { what: `the holder is at ${point}`, from });
      const away = await otherTakesOver(load, victim, from);
      const pid = seat.pid();
      if (pid !== null) process.kill(pid, "SIGCONT");
      await isHarmless(rig, load, victim, away);
      rig.fault(`freeze the relay at ${point}`, true);
      thawed += 1;
    }
    const { lease } = await rig.endLoad(load);
    rig.effort("zombies that came back", thawed, rounds);
    rig.effort("takeovers", lease.takeovers, rounds);
  },
});
