/** R02. The database server is killed and started again under load, again and again: no process ends, and each works again soon after the server does. */
import { waitUntil } from "@waybill/testing";
import { scenario } from "../scenario.ts";

export const databaseRestarted = scenario({
  code: "R02",
  title: "a database that is killed and started again ends no process, and both writers and relay work again within five seconds",
  databases: ["postgres", "mariadb", "mysql"],
  brokers: ["rabbitmq", "kafka"],
  scaled: { restarts: 3, everyMs: 3_000, successMaxMs: 5_000 },
  full: { restarts: 10, everyMs: 6_000, successMaxMs: 5_000 },
  async play(rig, { restarts, everyMs, successMaxMs }) {
    const { started } = rig.servers.database;
    rig.effort("database servers of our own", started === null ? 0 : 1, 1);
    if (started === null) return;
    const load = await rig.openLoad();
    let restarted = 0;
    for (let round = 0; round < restarts; round += 1) {
      await rig.pause(everyMs);
      await started.kill("SIGKILL");
      await started.restart();
      const acceptsMs = performance.now();
      const from = load.told.length;
      const { committed } = load.progress();
      rig.fault("kill the database server", true);
      const published = await load.waitFor(({ event }) => event["name"] === "relay.leaseAcquired" || event["name"] === "inbox.committed", {
        what: "relay and consumer have the database again",
        from,
      });
      rig.within("first success of relay or consumer", published.atMs - acceptsMs, successMaxMs);
      await waitUntil(() => load.progress().committed > committed || rig.signal.aborted, {
        what: "a writer commits again",
        deadlineMs: 60_000,
      });
      // Writers say once a second how far they are.
      rig.within("first commit of a writer", performance.now() - acceptsMs, successMaxMs + 1_000);
      restarted += 1;
    }
    await rig.endLoad(load);
    rig.effort("restarts", restarted, restarts);
    rig.demand(`processes ended by themselves: ${load.crashes.join(", ")}`, load.crashes.length === 0);
  },
});
