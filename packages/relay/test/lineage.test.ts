/** A database that is not the one the cursor was saved in: which changes are told only, and which stop the subscription. */
import { namespace } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { readRetention, runRetention } from "../src/index.ts";
import { inBoth } from "./application.ts";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

/** A cursor that was saved after three messages. */
async function published(fixture: RelayFixture): Promise<void> {
  await fixture.append(row("k"), row("k"), row("k"));
  const relay = fixture.start();
  await relay.hasPublished(3);
  await relay.stop();
}

/** The outbox alone comes back empty, and its counter with it. */
const emptied = { postgres: "truncate waybill_outbox restart identity", mysql: "truncate waybill_outbox" };

const stateOf = async (fixture: RelayFixture) =>
  (await fixture.run("select state, state_reason, owner, epoch, last_id from waybill_subscription"))[0];

await forEachDatabase((server) => {
  describe(`lineage on ${server.name}`, () => {
    const it = itOn(server);

    it("ids that went back stop the subscription in its row, with a line of audit, and the relay stands by", async ({ fixture }) => {
      await published(fixture);
      await fixture.run(emptied);
      await fixture.append(row("k"));
      const relay = fixture.start();
      const facts = { reason: "idsWentBack", lastId: 3n, highestId: 1n };
      expect(await relay.seen("relay.subscriptionStopped")).toMatchObject(facts);
      await relay.seen("relay.standby", { when: ({ state }) => state === "stopped" });
      expect(relay.eventsOf("relay.lineageChanged")).toMatchObject([{ wentBack: true }]);
      expect(relay.relay.health()).toMatchObject({ state: "stopped", stateReason: "idsWentBack:3:1" });
      expect(await stateOf(fixture)).toMatchObject({ state: "stopped", state_reason: "idsWentBack:3:1", owner: null, last_id: "3" });
      expect(await fixture.run("select who, what, subject, why from waybill_audit")).toEqual([
        { who: "waybill relay", what: "subscription.stop", subject: "subscription default/default", why: "idsWentBack:3:1" },
      ]);
      // Once the ids have passed the cursor nothing else tells: the row must.
      await fixture.append(row("k"), row("k"), row("k"), row("k"));
      const another = fixture.start();
      await another.seen("relay.standby", { when: ({ state }) => state === "stopped" });
      expect([...relay.sequences(), ...another.sequences()]).toEqual([]);
    });

    it("a ledger that was made anew stops it, too, however far its ids have come", async ({ fixture }) => {
      await published(fixture);
      await fixture.run(emptied);
      await fixture.run({
        postgres: "update waybill_stream set ledger_id = gen_random_uuid()",
        mysql: "update waybill_stream set ledger_id = uuid()",
      });
      await fixture.append(row("k"), row("k"), row("k"), row("k"), row("k"));
      const relay = fixture.start();
      expect(await relay.seen("relay.subscriptionStopped")).toMatchObject({ reason: "ledgerReplaced", lastId: 3n, highestId: 5n });
      expect(relay.sequences()).toEqual([]);
    });

    it("another server with the same ledger is told, and goes on", async ({ fixture }) => {
      await published(fixture);
      await fixture.run("update waybill_subscription set server_identity = 'another/0'");
      await fixture.append(row("k"));
      const relay = fixture.start();
      await relay.hasPublished(1);
      expect(relay.eventsOf("relay.lineageChanged")).toMatchObject([{ wentBack: false }]);
      expect(relay.eventsOf("relay.subscriptionStopping")).toEqual([]);
      await relay.stop();
      const next = fixture.start();
      await next.seen("relay.batchApplied");
      expect(next.eventsOf("relay.lineageChanged")).toEqual([]);
    });

    it("a table that is emptied under a running relay stops the subscription within seconds", async ({ fixture }) => {
      await fixture.append(row("k"), row("k"), row("k"));
      const relay = fixture.start();
      await relay.hasPublished(3);
      await fixture.isSaved(3);
      await fixture.run(emptied);
      await fixture.append(row("k"));
      await relay.seen("relay.subscriptionStopped");
      await waitUntil(() => relay.relay.health().state === "stopped", { what: "health says so" });
      expect(relay.sequences()).toEqual([1, 2, 3]);
    });

    it.runIf(server.dialect === "postgres")(
      "upkeep lets whoever has the whole ledger for himself go on, and waits",
      async ({ fixture }) => {
        await fixture.append(row("k"));
        const space = namespace("postgres");
        const connection = await fixture.database.connect({ purpose: "upkeep" });
        try {
          for (const upkeep of [
            () => readRetention(connection, { space }),
            () => runRetention(connection, { space, pause: async () => false }),
          ]) {
            const other = await fixture.client();
            await other.run("begin");
            await other.run("lock table waybill_outbox in access exclusive mode");
            const done = upkeep();
            done.catch(() => undefined);
            const waiting = "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
            await waitUntil(async () => (await fixture.run(waiting)).length > 0, { what: "upkeep waits" });
            // What truncate locks last of all. With a reader that began with it, the two would wait for each other.
            await other.run("truncate waybill_outbox restart identity");
            await other.run("commit");
            await done;
          }
        } finally {
          await connection.close();
        }
      },
    );

    it("does not take another relay's progress for it", async ({ fixture }) => {
      await published(fixture);
      const other = await fixture.client();
      await other.run("begin");
      await other.run("select 1 from waybill_subscription for update");
      const relay = fixture.start();
      await relay.seen("relay.leaseAcquiring");
      // Its facts are older than what the other one leaves behind.
      await fixture.appendMany(10);
      await other.run(inBoth((own) => `update waybill_subscription set last_id = 13, lease_until = ${own.longAgo}`));
      await other.run("commit");
      await relay.seen("relay.leaseAcquired");
      await fixture.append(row("k"));
      await relay.hasPublished(1);
      expect(relay.sequences()).toEqual([14]);
      expect(relay.eventsOf("relay.lineageChanged")).toEqual([]);
    });
  });
});
