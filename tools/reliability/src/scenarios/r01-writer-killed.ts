/**
 * R01. Writers are killed before their COMMIT, while it is on the wire, and when it is answered: business row and message are both there or both not, and
 * what is there is published as soon as anything else.
 */
import { readJournal } from "@waybill/auditor";
import { waitUntil } from "@waybill/testing";
import type { Load } from "../load.ts";
import { scenario } from "../scenario.ts";

const points = ["writer.appended", "writer.committing", "writer.committed"] as const;

export const writerKilled = scenario({
  code: "R01",
  title: "a writer killed around its COMMIT leaves both business row and message or neither, and the message is published in time",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { rounds: 4, leaseMs: 3_000, beyondMs: 2_000 },
  full: { rounds: 50, leaseMs: 10_000, beyondMs: 2_000 },
  async play(rig, { rounds, leaseMs, beyondMs }) {
    const load = await rig.openLoad({ leaseMs });
    let [kills, inDoubt, stored] = [0, 0, 0];
    for (let round = 0; round < rounds; round += 1) {
      for (const [turn, point] of points.entries()) {
        const index = (round + turn) % load.writers.length;
        const victim = load.writers[index] as (typeof load.writers)[number];
        load.dieAt(victim, point, { nth: 1 + Math.floor(rig.random.fraction() * 20) });
        const hasDied = await victim.seat.gone(10_000);
        const diedMs = performance.now();
        rig.fault(`kill the writer at ${point}`, hasDied);
        if (!hasDied) continue;
        kills += 1;
        const journal = load.journals.findLast((each) => each.includes(`-writer-${index}-`)) ?? "";
        const unknown = (await readJournal(journal)).filter(({ outcome }) => outcome === "unknown").map(({ messageId }) => messageId);
        inDoubt += unknown.length;
        const there = await storedOf(load, unknown);
        stored += there.length;
        const isPublished = arrivals(load);
        await waitUntil(() => there.every(isPublished) || rig.signal.aborted, {
          what: "what the killed writer committed is published",
          deadlineMs: 60_000,
        });
        rig.within(
          `kill at ${point}: the messages of ${there.length} commits were published`,
          performance.now() - diedMs,
          leaseMs + beyondMs,
        );
        await victim.seat.start();
      }
    }
    await rig.endLoad(load);
    rig.effort("kills of a writer", kills, Math.floor(rounds * points.length * 0.8));
    rig.effort("transactions in doubt", inDoubt, kills);
    rig.effort("transactions in doubt that had committed", stored, 1);
  },
});

async function storedOf(load: Load, messageIds: readonly string[]): Promise<readonly string[]> {
  if (messageIds.length === 0) return [];
  const values = messageIds.map(() => (load.source.dialect === "postgres" ? "?::uuid" : "?")).join(", ");
  const rows = await load.source.ask((session) =>
    session.run(`select message_id from waybill_outbox where message_id in (${values})`, messageIds),
  );
  return rows.map((row) => String(row["message_id"]));
}

/** Whether the tap has received a message, looking at what is new each time. */
function arrivals({ tap }: Load): (messageId: string) => boolean {
  const seen = new Set<string>();
  let looked = 0;
  return (messageId) => {
    for (; looked < tap.received.length; looked += 1) seen.add(tap.received[looked]?.messageId ?? "");
    return seen.has(messageId);
  };
}
