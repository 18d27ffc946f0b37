import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { inBoth } from "./application.ts";
import { itOn } from "./relay-fixture.ts";

const allOld = {
  postgres: "update waybill_outbox set created_at = clock_timestamp() - interval '2 days'",
  mysql: "update waybill_outbox set created_at = utc_timestamp(6) - interval 2 day",
};
const lockWaits = {
  postgres: "select count(*) as waits from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'",
  mysql: `select count(*) as waits from information_schema.innodb_trx as trx
          join information_schema.processlist as session on session.id = trx.trx_mysql_thread_id
          where trx_state = 'LOCK WAIT' and session.db = database()`,
};
const subscriptionAt = {
  postgres: "insert into waybill_subscription (stream, subscription, last_id) values ('default', ?, ?)",
  mysql: "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', ?, ?, '[]', '{}')",
};

await forEachDatabase((server) =>
  describe(`history on ${server.name}`, () => {
    const it = itOn(server);

    it("that a subscription needs which was set back meanwhile is not removed", async ({ fixture }) => {
      await fixture.appendMany(2_500);
      const first = fixture.start();
      await first.hasPublished(2_500, 30_000);
      await fixture.isSaved(2_500);
      await first.stop();
      await fixture.run(allOld);
      // The first step waits here, with the mark that it was begun with.
      const blocker = await fixture.client();
      await blocker.run("begin");
      await blocker.run("select id from waybill_outbox where id = 1 for update");
      const relay = fixture.start({ leaseMs: 30_000 });
      expect(await relay.seen("relay.historyRemoving")).toMatchObject({ lowWaterMark: 2_501n });
      await fixture.run(subscriptionAt, ["replayed", 1_000]);
      await blocker.run("commit");
      expect(await relay.seen("relay.historyRemoved", { deadlineMs: 30_000 })).toMatchObject({ rows: 1_000 });
      const [left] = await fixture.run("select min(id) as low, count(*) as count from waybill_outbox");
      expect([Number(left?.low), Number(left?.count)]).toEqual([1_001, 1_500]);
    });

    it("that is being removed is behind a subscription which its relay makes meanwhile", async ({ fixture }) => {
      await fixture.appendMany(2_500);
      const first = fixture.start();
      await first.hasPublished(2_500, 30_000);
      await fixture.isSaved(2_500);
      await first.stop();
      await fixture.run(allOld);
      // The first step waits here, and has asked already who needs what it removes.
      const blocker = await fixture.client();
      await blocker.run("begin");
      await blocker.run("select id from waybill_outbox where id = 1 for update");
      const removing = fixture.start({ leaseMs: 30_000 });
      const waits = async (count: number): Promise<boolean> => Number((await fixture.run(lockWaits))[0]?.["waits"]) >= count;
      // MySQL and MariaDB refresh what they tell of transactions only when nobody has asked for a tenth of a second.
      await waitUntil(() => waits(1), { what: "the step waits", intervalMs: 150 });
      const later = fixture.start({ subscription: "later" });
      await waitUntil(async () => later.eventsOf("relay.leaseAcquiring").length > 0 || (await waits(2)), {
        what: "the row is being made",
        intervalMs: 150,
      });
      await blocker.run("commit");
      expect(await later.seen("relay.leaseAcquired")).toMatchObject({ lastId: 1_000n });
      await later.hasPublished(1_500, 30_000);
      expect(later.sequences()[0]).toBe(1_001);
      await removing.seen("relay.historyRemoved", { deadlineMs: 30_000 });
    });

    it("is removed by a relay that runs, and a subscription made later begins behind it", async ({ fixture }) => {
      await fixture.appendMany(100);
      const first = fixture.start();
      await first.hasPublished(100);
      await fixture.isSaved(100);
      await first.stop();
      await fixture.run(allOld);
      await fixture.append({ type: "t", topic: "orders", key: "k", payload: "{}" });
      const relay = fixture.start();
      expect(await relay.seen("relay.historyRemoved")).toMatchObject({ rows: 100 });
      await relay.hasPublished(1);
      const later = fixture.start({ subscription: "later" });
      await later.hasPublished(1);
      expect(later.sequences()).toEqual([101]);
      expect(await later.seen("relay.batchApplied", { when: ({ lastId }) => lastId === 101n })).toMatchObject({ holeRanges: 0 });
    });

    it("that stays for a subscription which nobody runs is told, once, with its name and age", async ({ fixture }) => {
      await fixture.appendMany(10);
      await fixture.run(allOld);
      await fixture.run(subscriptionAt, ["default", 10]);
      await fixture.run(subscriptionAt, ["forgotten", 3]);
      const relay = fixture.start();
      const pinned = await relay.seen("relay.historyPinned");
      expect(pinned).toMatchObject({ by: "forgotten", lowWaterMark: 4n });
      expect(pinned.neededAgeMs).toBeGreaterThan(86_400_000);
      expect(relay.eventsOf("relay.ledgerMeasured")).toMatchObject([
        { heldBackBy: "forgotten", lowWaterMark: 4n, highestId: 10n, removedTo: 3n },
      ]);
    });

    it("that a subscription needs which a relay runs is no alarm", async ({ fixture }) => {
      await fixture.appendMany(10);
      await fixture.run(allOld);
      await fixture.run(subscriptionAt, ["default", 10]);
      await fixture.run(inBoth(({ uuid, inAnHour }) => `insert into waybill_subscription ${ownedAt(server.dialect, uuid, inAnHour)}`));
      const relay = fixture.start();
      expect(await relay.seen("relay.ledgerMeasured")).toMatchObject({ heldBackBy: "other", lowWaterMark: 4n });
      expect(relay.eventsOf("relay.historyPinned")).toEqual([]);
    });
  }),
);

const ownedAt = (dialect: string, uuid: string, inAnHour: string): string =>
  dialect === "postgres"
    ? `(stream, subscription, last_id, owner, lease_until) values ('default', 'other', 3, ${uuid}, ${inAnHour})`
    : `(stream, subscription, last_id, owner, lease_until, holes, solo_deaths) values ('default', 'other', 3, ${uuid}, ${inAnHour}, '[]', '{}')`;
