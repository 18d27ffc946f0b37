/**
 * R26. The server's side of the connection on which the relay listens for hints is frozen, so that none arrives and nobody says so; and hints come before
 * their rows can be seen. Messages wait for the poll at most, and the relay finds out and listens on another connection.
 */
import { createHint } from "@waybill/outbox";
import { waitUntil } from "@waybill/testing";
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { beginNotes, openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

export const hintsDead = scenario({
  code: "R26",
  title: "hints that do not arrive, or come too early, cost a message the wait of the poll, and the relay listens anew",
  databases: ["postgres"],
  brokers: [],
  why: "Only PostgreSQL can notify.",
  scaled: { freezes: 1, rounds: 6, pollMaxMs: 500, wayMs: 1_000, replacedMaxMs: 15_000 },
  full: { freezes: 20, rounds: 100, pollMaxMs: 500, wayMs: 1_000, replacedMaxMs: 15_000 },
  async play(rig, { freezes, rounds, pollMaxMs, wayMs, replacedMaxMs }) {
    rig.effort("database servers of our own", rig.servers.database.started === null ? 0 : 1, 1);
    if (rig.servers.database.started === null) return;
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const relayArgs = ["--hint", "--poll-max-ms", String(pollMaxMs)];
    const delivery = await openDelivery(rig, { transport: endpoint.url, received: () => endpoint.received, relayArgs });
    const session = await openSession(rig, delivery);
    const hint = createHint({ database: delivery.place.database });
    const isListening = ({ name }: Readonly<Record<string, unknown>>): boolean => name === "relay.hintListening";
    await delivery.relay.start();
    await delivery.waitFor(isListening, { what: "hints wake the relay", deadlineMs: 60_000, from: 0 });
    let slowestMs = 0;
    const write = async (isEarly: boolean): Promise<void> => {
      const open = await beginNotes(delivery, session, [{ key: "key" }]);
      if (isEarly) hint.give();
      await hint.settled();
      await open.commit();
      const committedMs = performance.now();
      if (!isEarly) hint.give();
      const [id = ""] = open.ids;
      await waitUntil(() => endpoint.arrivedMs(id) !== undefined || rig.signal.aborted, {
        what: "the message arrives",
        deadlineMs: 60_000,
      });
      slowestMs = Math.max(slowestMs, (endpoint.arrivedMs(id) ?? performance.now()) - committedMs);
      await rig.pause(pollMaxMs);
    };
    for (let round = 0; round < rounds; round += 1) await write(true);
    let replaced = 0;
    for (let turn = 0; turn < freezes; turn += 1) {
      const rows = await session.run(
        "select pid from pg_stat_activity where datname = current_database() and application_name like '%relay hint' order by backend_start desc",
      );
      const pid = Number(rows[0]?.["pid"] ?? 0);
      rig.fault("freeze the connection that listens", pid > 0);
      if (pid === 0) continue;
      const from = delivery.told.length;
      const frozenMs = performance.now();
      process.kill(pid, "SIGSTOP");
      try {
        for (let round = 0; round < rounds; round += 1) await write(false);
        const again = await delivery.waitFor(isListening, { what: "the relay listens on another connection", deadlineMs: 60_000, from });
        rig.within("the relay listened again", again.atMs - frozenMs, replacedMaxMs);
        const lost = delivery.told.slice(from).filter(({ event }) => event["name"] === "relay.hintLost").length;
        rig.demand("the relay did not say that hints do not arrive", lost > 0);
        replaced += 1;
      } finally {
        process.kill(pid, "SIGCONT");
      }
    }
    rig.within("the message that waited longest arrived", slowestMs, pollMaxMs + wayMs);
    rig.effort("connections that were replaced", replaced, freezes);
    await delivery.isQuiet();
    await delivery.end();
  },
});
