import { type Clock, systemClock } from "@waybill/core";
import { namespace, openDatabase } from "@waybill/sql";
import { forEachDatabase, startFaultProxy, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { createSubscriptionRow } from "../src/create-subscription-row.ts";
import { inBoth } from "./application.ts";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

await forEachDatabase((server) =>
  describe(`the lease on ${server.name}`, () => {
    const it = itOn(server);

    describe("two relays on one subscription", () => {
      it("one publishes, the other waits", async ({ fixture }) => {
        const first = fixture.start();
        await first.seen("relay.leaseAcquired");
        const second = fixture.start();
        await second.seen("relay.standby", { when: ({ state }) => state === "held" });
        await fixture.appendMany(200);
        await first.hasPublished(200);
        expect(first.relay.health()).toMatchObject({ state: "active", epoch: 1n });
        expect(second.relay.health()).toMatchObject({ state: "standby", epoch: null });
        expect(second.transport.received).toEqual([]);
        expect(second.eventsOf("relay.leaseAcquiring")).toEqual([]);
      });

      it("the other goes on within a second of an orderly stop, and nothing is published twice", async ({ fixture }) => {
        await fixture.appendMany(50);
        const first = fixture.start();
        await first.hasPublished(50);
        const second = fixture.start();
        await second.seen("relay.standby");
        await fixture.appendMany(50);
        await first.hasPublished(100);
        const stoppedAtMs = performance.now();
        await first.stop();
        await fixture.append(row("k"));
        await second.hasPublished(1);
        expect(performance.now() - stoppedAtMs).toBeLessThan(1_000);
        expect(second.sequences()).toEqual([101]);
        expect(second.eventsOf("relay.leaseAcquired")[0]).toMatchObject({ wasReleased: true, isSolo: false, epoch: 2n });
      });

      it("the other goes on within the lease and two seconds when the first is cut off, which publishes nothing any more", async ({
        fixture,
      }) => {
        const target = new URL(fixture.url);
        const proxy = await startFaultProxy({ target: { host: target.hostname, port: Number(target.port) } });
        const cutOff = openDatabase({ url: proxy.url(fixture.url) });
        try {
          const leaseMs = 1_500;
          const first = fixture.start({ database: cutOff, leaseMs });
          await fixture.append(row("k"));
          await first.hasPublished(1);
          await waitUntil(async () => (await fixture.subscription()).progressed, { what: "its progress is saved" });
          const second = fixture.start({ leaseMs });
          await second.seen("relay.standby");
          proxy.inject({ kind: "blackHole" });
          const cutAtMs = performance.now();
          await fixture.append(row("k"));
          await second.hasPublished(1);
          expect(performance.now() - cutAtMs).toBeLessThan(leaseMs + 2_000);
          expect(second.eventsOf("relay.leaseAcquired")[0]).toMatchObject({ wasReleased: false, isSolo: false });
          await first.seen("relay.leaseLost");
          expect(second.sequences().at(-1)).toBe(2);
          expect(first.sequences()).toEqual([1]);
          const stopped = first.stop();
          proxy.heal();
          await stopped;
        } finally {
          await cutOff.close({ deadlineMs: 500 });
          await proxy.stop();
        }
      });

      it("one that was stopped stands by for the other when it is started anew", async ({ fixture }) => {
        const first = fixture.start();
        await first.seen("relay.leaseAcquired");
        const second = fixture.start();
        await second.seen("relay.standby");
        await first.stop();
        await second.seen("relay.leaseAcquired");
        const third = fixture.start();
        await third.seen("relay.standby");
        expect(third.eventsOf("relay.leaseAcquired")).toEqual([]);
      });

      it("one that is configured differently stands by and says so, and takes over with its own configuration", async ({ fixture }) => {
        const first = fixture.start({ transportName: "http://old" });
        await first.seen("relay.leaseAcquired");
        let looks = 0;
        const countingLooks: Clock = {
          ...systemClock,
          setTimer: (ms, callback) => {
            looks += 1;
            return systemClock.setTimer(Math.min(ms, 50), callback);
          },
        };
        const second = fixture.start({ transportName: "http://new", clock: countingLooks });
        const differs = await second.seen("relay.configDiffers");
        expect(differs.ours).not.toBe(differs.theirs);
        await waitUntil(() => looks >= 8, { what: "it looked again" });
        expect(second.eventsOf("relay.configDiffers")).toHaveLength(1);
        expect(second.relay.health().state).toBe("standby");
        await first.stop();
        await second.seen("relay.leaseAcquired");
        expect(await fixture.run("select config_hash from waybill_subscription")).toEqual([{ config_hash: differs.ours }]);
        const third = fixture.start({ transportName: "http://new" });
        await third.seen("relay.standby");
        expect(third.eventsOf("relay.configDiffers")).toEqual([]);
      });
    });

    /** Takes the row away from its holder: what `columns` says, for an hour, and back to the beginning. */
    const take = (fixture: RelayFixture, columns: (uuid: string) => string): Promise<unknown> =>
      fixture.run(
        inBoth(
          ({ uuid, inAnHour, noRanges }) =>
            `update waybill_subscription set ${columns(uuid)}, lease_until = ${inAnHour}, last_id = 0, ${noRanges}`,
        ),
      );

    describe("a cursor saved under an old epoch", () => {
      it("changes nothing and is reported", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600_000 });
        await fixture.append(row("k"));
        await relay.hasPublished(1);
        await fixture.isSaved(1);
        await take(fixture, (uuid) => `epoch = epoch + 1, owner = ${uuid}`);
        const before = await fixture.subscription();
        await fixture.append(row("k"), row("k"));
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "fenced" });
        await relay.seen("relay.standby");
        expect(await fixture.subscription()).toEqual(before);
      });

      it("changes nothing either when only the owner is another: after a failover an epoch can be given twice", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600_000 });
        await fixture.append(row("k"));
        await relay.hasPublished(1);
        await fixture.isSaved(1);
        await take(fixture, (uuid) => `owner = ${uuid}`);
        const before = await fixture.subscription();
        await fixture.append(row("k"));
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "fenced" });
        await relay.seen("relay.standby");
        expect(await fixture.subscription()).toEqual(before);
      });

      it("changes nothing either when only the epoch is another: the relay begins again with what it finds", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600_000 });
        await fixture.append(row("k"));
        await relay.hasPublished(1);
        await fixture.isSaved(1);
        await take(fixture, () => "epoch = epoch + 1");
        await fixture.append(row("k"));
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "fenced" });
        const again = await relay.seen("relay.leaseAcquired", { when: ({ epoch }) => epoch === 3n });
        expect(again.lastId).toBe(0n);
      });

      it("is not even needed: the next renewal finds the lease lost", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600 });
        await relay.seen("relay.leaseRenewed");
        await take(fixture, (uuid) => `epoch = epoch + 1, owner = ${uuid}`);
        await relay.seen("relay.leaseLost");
        await relay.seen("relay.standby");
      });

      it("changes no row: neither a save nor a renewal under another epoch or owner does", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600_000 });
        await relay.seen("relay.batchApplied");
        const { epoch, owner } = await fixture.subscription();
        const connection = await fixture.database.connect({ purpose: "test" });
        const stored = createSubscriptionRow(namespace(server.dialect), "default", "default");
        const cursor = { lastId: 0n, ranges: [], progressed: true, soloId: null, soloDeaths: new Map(), isDurable: false };
        const [here] = await fixture.run("select server_identity from waybill_subscription");
        const identity = String(here?.server_identity);
        const older = { epoch: BigInt(epoch) - 1n, owner: String(owner) };
        const others = { epoch: BigInt(epoch), owner: "00000000-0000-4000-8000-000000000000" };
        const found = [];
        for (const fence of [older, others]) {
          found.push(await stored.save(connection, fence, 1_000, identity, cursor), await stored.renew(connection, fence, 1_000, identity));
        }
        expect(found).toEqual([false, false, false, false]);
        await connection.close();
      });

      it("changes nothing on another server, however right epoch and owner are", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 600_000 });
        await relay.seen("relay.batchApplied");
        const { epoch, owner } = await fixture.subscription();
        const connection = await fixture.database.connect({ purpose: "test" });
        const stored = createSubscriptionRow(namespace(server.dialect), "default", "default");
        const fence = { epoch: BigInt(epoch), owner: String(owner) };
        const cursor = { lastId: 0n, ranges: [], progressed: true, soloId: null, soloDeaths: new Map(), isDurable: false };
        const save = (identity: string): Promise<boolean> => stored.save(connection, fence, 1_000, identity, cursor);
        const renew = (identity: string): Promise<boolean> => stored.renew(connection, fence, 1_000, identity);
        const [here] = await fixture.run("select server_identity from waybill_subscription");
        const identity = String(here?.server_identity);
        expect([await save(identity), await renew(identity)]).toEqual([true, true]);
        expect([await save("77/00000001"), await renew("77/00000001")]).toEqual([false, false]);
        await connection.close();
      });
    });

    describe("a holder", () => {
      it("renews its lease while it has nothing to do", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 900 });
        await waitUntil(() => relay.eventsOf("relay.leaseRenewed").length >= 4, { what: "the lease was renewed four times" });
        expect(await fixture.subscription()).toMatchObject({ isLeased: true, epoch: 1 });
      });

      it("renews its lease while a publish hangs", async ({ fixture }) => {
        const relay = fixture.start({ leaseMs: 900, publishDeadlineMs: 30_000 });
        const hang = relay.transport.inject({ kind: "hang" });
        await fixture.append(row("k"));
        await hang.hasFired();
        const before = relay.eventsOf("relay.leaseRenewed").length;
        await waitUntil(() => relay.eventsOf("relay.leaseRenewed").length >= before + 4, { what: "the lease was renewed four times" });
        expect(relay.eventsOf("relay.leaseLost")).toEqual([]);
      });

      it("that was frozen longer than its lease publishes nothing before it has taken it anew", async ({ fixture }) => {
        let frozenMs = 0;
        const clock: Clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + frozenMs };
        let hasLost = false;
        const asked: boolean[] = [];
        const relay = fixture.start({
          clock,
          leaseMs: 600_000,
          // A freeze between the read and the publish of what it brought.
          onEvent: ({ name, ...facts }) => {
            hasLost ||= name === "relay.leaseLost";
            if (name === "relay.batchApplied" && "unconfirmed" in facts && facts.unconfirmed === 3 && frozenMs === 0) frozenMs = 600_000;
          },
          transport: {
            publish: async (batch, { mayWrite }) => {
              asked.push(mayWrite?.() === true && (frozenMs === 0 || hasLost));
              return batch.map(() => ({ kind: "confirmed" }) as const);
            },
            close: () => Promise.resolve(),
          },
        });
        await fixture.append(row("a"), row("a"), row("b"));
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "expired" });
        await fixture.isSaved(3);
        expect(asked.length).toBeGreaterThan(0);
        expect(asked).not.toContain(false);
      });

      it("asks its lease before every write: a transport may ask in the middle of a call, too", async ({ fixture }) => {
        const relay = fixture.start({
          publishDeadlineMs: 30_000, // a call that is given up is made again
          leaseMs: 30_000, // the loss is noticed by the next renewal, after a third of it, if nothing is saved before
          transport: {
            publish: async (batch, { mayWrite }) => {
              asked.push(mayWrite?.() ?? null);
              if (asked.length === 1) {
                await take(fixture, () => "epoch = epoch + 1");
                await waitUntil(() => mayWrite?.() === false, { what: "the lease is lost" });
                asked.push(false);
              }
              return batch.map(() => ({ kind: "confirmed" }) as const);
            },
            close: () => Promise.resolve(),
          },
        });
        const asked: (boolean | null)[] = [];
        await fixture.append(row("k"));
        await waitUntil(() => asked.length >= 2, { what: "the transport was told" });
        expect(asked).toEqual([true, false]);
        await relay.seen("relay.leaseLost");
      });
    });

    describe("a subscription's state", () => {
      const setState = (fixture: RelayFixture, state: string): Promise<unknown> =>
        fixture.run(
          inBoth(({ longAgo }) => `update waybill_subscription set state = ?, epoch = epoch + 1, owner = null, lease_until = ${longAgo}`),
          [state],
        );

      for (const state of ["paused", "stopped"] as const)
        it(`${state}: its relay stands by, and goes on when it is active again`, async ({ fixture }) => {
          const relay = fixture.start({ leaseMs: 1_000 });
          await fixture.append(row("k"));
          await relay.hasPublished(1);
          await fixture.isSaved(1);
          await setState(fixture, state);
          await relay.seen("relay.standby", { when: (event) => event.state === state });
          expect(relay.relay.health().state).toBe(state);
          await fixture.append(row("k"));
          await setState(fixture, "active");
          await relay.hasPublished(2);
          expect(relay.sequences()).toEqual([1, 2]);
        });

      it("decides in the very statement that takes the lease", async ({ fixture }) => {
        const first = fixture.start();
        await first.seen("relay.leaseAcquired");
        await first.stop();
        const blocker = await fixture.client();
        await blocker.run("begin");
        await blocker.run("select 1 from waybill_subscription for update");
        const second = fixture.start();
        await second.seen("relay.leaseAcquiring");
        await blocker.run("update waybill_subscription set state = 'paused'");
        await blocker.run("commit");
        await second.seen("relay.standby", { when: ({ state }) => state === "paused" });
        expect(second.eventsOf("relay.leaseAcquired")).toEqual([]);
      });

      it("set back by an operator replays from there, without a restart of the relay", async ({ fixture }) => {
        const relay = fixture.start();
        await fixture.append(row("k"), row("k"), row("k"));
        await relay.hasPublished(3);
        await fixture.isSaved(3);
        await fixture.run(
          inBoth(
            ({ noRanges, longAgo }) =>
              `update waybill_subscription set last_id = 1, ${noRanges}, epoch = epoch + 1, owner = null, lease_until = ${longAgo}`,
          ),
        );
        await relay.hasPublished(5);
        expect(relay.sequences()).toEqual([1, 2, 3, 2, 3]);
      });
    });

    describe("stopping", () => {
      it("a relay whose signal was aborted before it ran touches nothing", async ({ fixture }) => {
        await fixture.append(row("k"));
        const relay = fixture.start({ database: { ...fixture.database, connect: () => Promise.reject(new Error("must not be asked")) } });
        await relay.stop();
        expect(relay.relay.health().state).toBe("stopped");
        expect(await fixture.run("select * from waybill_subscription")).toEqual([]);
      });

      it("a second run and a second stop end with the first", async ({ fixture }) => {
        const relay = fixture.start();
        await relay.seen("relay.leaseAcquired");
        const again = relay.relay.run({ signal: new AbortController().signal });
        await Promise.all([relay.stop(), relay.stop(), again]);
        expect(relay.eventsOf("relay.stopped")).toHaveLength(1);
      });

      it("run resolves with nothing leased and every connection closed", async ({ fixture }) => {
        const relay = fixture.start();
        await fixture.appendMany(500);
        await relay.hasPublished(500);
        await relay.stop();
        expect(await fixture.subscription()).toMatchObject({ owner: null, isLeased: false, lastId: 500, ranges: [] });
        // Upkeep that was under way ends beside it.
        const names = relay.events.map(({ name }) => name).filter((name) => name !== "relay.historyRemoved");
        expect(names.slice(-4)).toEqual(["relay.cursorSaved", "relay.leaseReleasing", "relay.leaseReleased", "relay.stopped"]);
        if (server.dialect !== "postgres") return; // What an idle session said last is not told there.
        await waitUntil(
          async () =>
            (
              await fixture.run(
                "select 1 from pg_stat_activity where datname = current_database() and query like '%waybill_subscription%' and pid <> pg_backend_pid()",
              )
            ).length === 0,
          { what: "no connection of the relay is left" },
        );
      });

      it("between two sessions hands over the lease, too: no standby waits for it to run out", async ({ fixture }) => {
        await fixture.append(row("k"));
        const first = fixture.start({ leaseMs: 600_000, outageBackoff: { firstMs: 60_000, maxMs: 60_000 } });
        first.transport.inject({ kind: "throw" });
        await first.seen("relay.restarting");
        await first.stop();
        expect(await fixture.subscription()).toMatchObject({ owner: null, isLeased: false });
        const second = fixture.start();
        await second.hasPublished(1);
      });

      it("a standby stops at once", async ({ fixture }) => {
        const first = fixture.start();
        await first.seen("relay.leaseAcquired");
        const second = fixture.start();
        await second.seen("relay.standby");
        const askedAtMs = performance.now();
        await second.stop();
        expect(performance.now() - askedAtMs).toBeLessThan(1_000);
        expect(await fixture.subscription()).toMatchObject({ isLeased: true });
      });

      it("what is on the wire gets its time, and is confirmed in the saved cursor", async ({ fixture }) => {
        const relay = fixture.start({ drainMs: 5_000 });
        const slow = relay.transport.inject({ kind: "delay", afterMs: 150, times: 3 });
        await fixture.append(row("a"), row("b"), row("c"));
        await slow.hasFired(3);
        await relay.stop();
        expect(new Set(relay.sequences())).toEqual(new Set([1, 2, 3]));
        expect(await fixture.subscription()).toMatchObject({ lastId: 3, ranges: [], owner: null });
      });
    });
  }),
);
