/**
 * R64. The consumer at work is killed at each event of its inbox, one after the other: whatever it had done and not committed is done again by somebody,
 * whatever it had committed and not settled is found to be done, and the bank has each cent once.
 */
import { scenario } from "../scenario.ts";

/** Those that a consumer passes in every run of load L; others need a handler that fails, or a transaction that is cut. */
const events = [
  "inbox.received",
  "inbox.attemptStarting",
  "inbox.attemptStarted",
  "inbox.batchBegun",
  "inbox.batchDeduped",
  "inbox.handling",
  "inbox.handled",
  "inbox.batchCommitting",
  "inbox.batchCommitted",
  "inbox.committed",
  "inbox.settling",
] as const;

/** After these the transaction is committed and nothing is settled: the message must come again, and be known. */
const afterCommit: ReadonlySet<string> = new Set(["inbox.batchCommitted", "inbox.committed", "inbox.settling"]);

export const consumerKilled = scenario({
  code: "R64",
  title: "a consumer killed at any event of its inbox has each effect once, and the messages are taken over in time",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 1, eventsMax: 6, rabbitmqMs: 2_000, kafkaMs: 11_000 },
  full: { rounds: 50, eventsMax: events.length, rabbitmqMs: 2_000, kafkaMs: 11_000 },
  async play(rig, { rounds, eventsMax, rabbitmqMs, kafkaMs }) {
    const load = await rig.openLoad({ tellsAll: true });
    const takeoverMaxMs = rig.broker === "kafka" ? kafkaMs : rabbitmqMs;
    let kills = 0;
    let killsAfterCommit = 0;
    for (let round = 0; round < rounds; round += 1) {
      // Scaled, each seed takes some of them; always one after a commit, for only that can show a repetition.
      const first = Math.floor(rig.random.fraction() * events.length);
      const chosen = Array.from({ length: eventsMax }, (_, index) => events[(first + index * 2) % events.length] as string);
      if (!chosen.some((event) => afterCommit.has(event))) chosen.push("inbox.committed");
      for (const event of chosen) {
        const victim = load.busyConsumer();
        load.dieAt(victim, event, { nth: 1 + Math.floor(rig.random.fraction() * 3) });
        const hasDied = await victim.seat.gone(10_000);
        rig.fault(`kill the consumer at ${event}`, hasDied);
        if (!hasDied) {
          await victim.seat.kill();
          await load.comesBack(victim);
          continue;
        }
        kills += 1;
        if (afterCommit.has(event)) killsAfterCommit += 1;
        const diedMs = performance.now();
        const next = await load.waitFor(({ who, event: { name } }) => who !== victim.seat.name && name === "inbox.committed", {
          what: "another consumer goes on",
          deadlineMs: 60_000,
        });
        rig.within(`kill at ${event}: the messages were taken over`, next.atMs - diedMs, takeoverMaxMs);
        await load.comesBack(victim);
      }
    }
    await rig.endLoad(load);
    rig.effort("kills of a consumer", kills, Math.floor((rounds * eventsMax) / 2));
    const duplicates = load.told.filter(({ event }) => event["name"] === "inbox.duplicate").length;
    if (killsAfterCommit > 0) rig.effort("messages that the inbox knew", duplicates, 1);
  },
});
