/**
 * R36. The event loop of the holder is blocked, so that neither a timer nor an answer gets through: what it may still do is decided by the clock, not by a
 * timer that fires late. When it goes on it hands nothing over and writes no cursor.
 */
import { scenario } from "../scenario.ts";
import { isHarmless, otherTakesOver } from "../zombie.ts";

export const loopBlocked = scenario({
  code: "R36",
  title: "a relay whose event loop is blocked past its lease publishes nothing and writes no cursor when it goes on",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 2, leaseMs: 3_000, blockedMs: 12_000 },
  full: { rounds: 10, leaseMs: 10_000, blockedMs: 60_000 },
  async play(rig, { rounds, leaseMs, blockedMs }) {
    const load = await rig.openLoad({ leaseMs, tellsAll: true });
    let blocked = 0;
    for (let round = 0; round < rounds; round += 1) {
      const victim = load.holder();
      const from = load.told.length;
      victim.seat.tell(`block ${blockedMs}`);
      const away = await otherTakesOver(load, victim, from);
      // What it tells behind that it tells when it is back: it could not while it was blocked.
      await isHarmless(rig, load, victim, away);
      rig.fault("block the relay's event loop", true);
      blocked += 1;
    }
    const { lease } = await rig.endLoad(load);
    rig.effort("holders that were blocked and came back", blocked, rounds);
    rig.effort("takeovers", lease.takeovers, rounds);
  },
});
