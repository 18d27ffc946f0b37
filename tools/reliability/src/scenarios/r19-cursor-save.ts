/**
 * R19. The answer to a save of the cursor is swallowed, and the holder is killed in the middle of a save: no id is passed over, and what is published again
 * is at most what came in between two saves, and what was under way.
 */
import type { Load } from "../load.ts";
import { scenario } from "../scenario.ts";
import { otherTakesOver } from "../zombie.ts";

/** How a save is known on the wire: prepared, by its name. */
const save = { postgres: "waybill_save", mysql: "set last_id" } as const;

export const cursorSave = scenario({
  code: "R19",
  title: "a save of the cursor that is cut off passes over no id, and repeats no more than one save's time and what was under way",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { kills: 2, swallows: 1, leaseMs: 3_000, perSecond: 300 },
  full: { kills: 50, swallows: 50, leaseMs: 10_000, perSecond: 300 },
  async play(rig, { kills, swallows, leaseMs, perSecond }) {
    const load = await rig.openLoad({ leaseMs, perSecond, tellsAll: true });
    const count = repeatedIn(load);
    let [killed, mostRepeated] = [0, 0];
    for (let round = 0; round < kills; round += 1) {
      const victim = load.holder();
      const from = load.told.length;
      const before = count();
      load.dieAt(victim, "relay.cursorSaving", { nth: 1 + Math.floor(rig.random.fraction() * 20) });
      const hasDied = await victim.seat.gone(20_000);
      rig.fault("kill the relay in a save", hasDied);
      if (!hasDied) continue;
      killed += 1;
      const inFlight = load.told
        .slice(from)
        .filter(({ who, event }) => who === victim.seat.name && event["name"] === "relay.batchApplied")
        .reduce((most, { event }) => Math.max(most, Number(event["unconfirmed"])), 0);
      await otherTakesOver(load, victim, from);
      const repeated = count() - before;
      mostRepeated = Math.max(mostRepeated, repeated);
      const allowed = Math.ceil(perSecond / 4) + inFlight;
      rig.say(`${repeated} messages came again, of at most ${allowed}`);
      rig.demandWhenCalm(`a relay killed in a save repeated ${repeated} messages of at most ${allowed}`, repeated <= allowed);
      await load.comesBack(victim);
    }
    let swallowed = 0;
    for (let round = 0; round < swallows; round += 1) {
      const victim = load.holder();
      const from = load.told.length;
      const fault = victim.link.inject({ kind: "swallowReplies", pattern: save[rig.dialect] });
      await load.waitFor(({ event }) => event["name"] === "relay.leaseAcquired", { what: "somebody has the lease after it", from });
      fault.lift();
      victim.link.cutAll();
      rig.fault("swallow the answer to a save", fault.fired > 0);
      if (fault.fired > 0) swallowed += 1;
      await load.waitFor(({ event }) => event["name"] === "relay.cursorSaved", { what: "the cursor is saved again" });
    }
    await rig.endLoad(load);
    rig.effort("messages that one death repeated", mostRepeated, 1);
    rig.effort("kills in a save", killed, Math.ceil(kills * 0.8));
    rig.effort("saves without an answer", swallowed, Math.ceil(swallows * 0.8));
  },
});

/** How many receptions so far were of messages that had been received before. */
function repeatedIn({ tap }: Load): () => number {
  const seen = new Set<string>();
  let [looked, repeated] = [0, 0];
  return () => {
    for (; looked < tap.received.length; looked += 1) {
      const { messageId } = tap.received[looked] as (typeof tap.received)[number];
      if (seen.has(messageId)) repeated += 1;
      seen.add(messageId);
    }
    return repeated;
  };
}
