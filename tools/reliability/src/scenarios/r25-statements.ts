/**
 * R25. The statements of a relay are counted by the server: while nothing comes they are few, and while messages come there are as many for a batch whether
 * it has a hundred messages or thousands.
 */
import { openDelivery } from "../delivery.ts";
import { startEndpoint } from "../endpoint.ts";
import { openSession } from "../own-transactions.ts";
import { scenario } from "../scenario.ts";

/** Told to the server's counters about once a second. */
const countedMs = 2_500;

export const statements = scenario({
  code: "R25",
  title: "an idle relay sends few statements, and a busy one so many for a batch, however large it is",
  databases: ["postgres", "mysql", "mariadb"],
  brokers: [],
  scaled: { idleMs: 8_000, few: 100, many: 5_000, perSecondMax: 25, readsPerSecondMax: 12, perBatchMax: 12 },
  full: { idleMs: 600_000, few: 100, many: 100_000, perSecondMax: 25, readsPerSecondMax: 12, perBatchMax: 12 },
  async play(rig, { idleMs, few, many, perSecondMax, readsPerSecondMax, perBatchMax }) {
    rig.effort("database servers of our own", rig.servers.database.started === null ? 0 : 1, 1);
    if (rig.servers.database.started === null) return;
    const endpoint = await startEndpoint();
    rig.defer(() => endpoint.stop());
    const delivery = await openDelivery(rig, {
      transport: endpoint.url,
      received: () => endpoint.received,
      leaseMs: 30_000,
      tellsAll: true,
    });
    const session = await openSession(rig, delivery);
    const counted = async (): Promise<number> => {
      await rig.pause(countedMs);
      const [row] = await session.run({
        postgres: "select xact_commit + xact_rollback as statements from pg_stat_database where datname = current_database()",
        mysql: "show global status like 'Questions'",
      });
      return Number(row?.["statements"] ?? row?.["Value"]);
    };
    const reads = (from: number): number => delivery.told.slice(from).filter(({ event }) => event["name"] === "relay.batchReading").length;
    await delivery.relay.start();
    await delivery.write([{ topic: "notes", key: null }]);
    await delivery.isQuiet();

    const [idleFrom, idleBegan] = [await counted(), performance.now()];
    const readsFrom = delivery.told.length;
    await rig.pause(idleMs);
    const idle = (await counted()) - idleFrom;
    const seconds = (performance.now() - idleBegan) / 1_000;
    const [perSecond, readsPerSecond] = [idle / seconds, reads(readsFrom) / seconds];
    rig.say(`idle: ${perSecond.toFixed(1)} statements a second, ${readsPerSecond.toFixed(1)} of them reads of the ledger`);
    rig.demand(`an idle relay sends ${perSecond.toFixed(1)} statements a second of at most ${perSecondMax}`, perSecond <= perSecondMax);
    rig.demand(
      `an idle relay reads ${readsPerSecond.toFixed(1)} times a second of at most ${readsPerSecondMax}`,
      readsPerSecond <= readsPerSecondMax,
    );
    rig.effort("statements while idle", idle, Math.floor(seconds));
    rig.effort("reads while idle", reads(readsFrom), Math.floor(seconds));

    for (const rows of [few, many]) {
      const before = await counted();
      const [from, beganMs] = [delivery.told.length, performance.now()];
      await delivery.write(Array.from({ length: rows }, (_, index) => ({ topic: "notes", key: `key-${index % 50}` })));
      await delivery.isQuiet(120_000);
      const tookS = (performance.now() - beganMs) / 1_000;
      const total = (await counted()) - before;
      // Each read, with or without rows, is a round of the relay; what it does by the clock it does as when idle; ours are the inserts.
      const batches = reads(from);
      const perBatch = (total - perSecond * tookS) / Math.max(1, batches);
      rig.say(`${rows} messages: ${total} statements for ${batches} batches in ${tookS.toFixed(1)} s, ${perBatch.toFixed(1)} for each`);
      rig.demand(
        `${rows} messages took ${perBatch.toFixed(1)} statements for each batch of at most ${perBatchMax}`,
        perBatch <= perBatchMax,
      );
      rig.demand(`${rows} messages took ${total} statements`, rows < 1_000 || total < rows / 2);
    }
    await delivery.end();
  },
});
