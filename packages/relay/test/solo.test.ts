/** Finding a message that kills its relay. A death is a holder that goes away without a word: nobody releases, and its lease runs out. */
import type { Transport } from "@waybill/core";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { inBoth } from "./application.ts";
import { dieOf, leave } from "./dead-holders.ts";
import { itOn, row } from "./relay-fixture.ts";

await forEachDatabase((server) =>
  describe(`publishing alone on ${server.name}`, () => {
    const it = itOn(server);

    describe("a relay that follows one that died before it got anywhere", () => {
      it("waits for one that is to be tried again without another listener for each of its waits", async ({ fixture }) => {
        const warnings: Error[] = [];
        const onWarning = (warning: Error): number => warnings.push(warning);
        process.on("warning", onWarning);
        try {
          const transport = memoryTransport();
          const failing = transport.inject({ kind: "retry", times: 4 });
          await fixture.appendMany(3);
          await leave(fixture, {});
          const relay = fixture.start({ memory: transport });
          await relay.hasPublished(3);
          await relay.seen("relay.soloEnded");
          expect(failing.fired).toBe(4);
        } finally {
          process.off("warning", onWarning);
        }
        expect(warnings.filter(({ name }) => name === "MaxListenersExceededWarning")).toEqual([]);
      });

      it("publishes one message at a time, in id order, each written down before it goes", async ({ fixture }) => {
        await fixture.appendMany(12, "'orders', case when n % 3 = 0 then null else concat('k', n % 3) end, '{}'");
        await leave(fixture, {});
        const seen: { readonly sequences: readonly number[]; readonly soloId: number | null }[] = [];
        let underWay = 0;
        let underWayMax = 0;
        const transport: Transport = {
          publish: async (batch) => {
            underWay += 1;
            underWayMax = Math.max(underWayMax, underWay);
            const { soloId } = await fixture.subscription();
            seen.push({ sequences: batch.map(({ sequence }) => Number(sequence)), soloId });
            underWay -= 1;
            return batch.map(() => ({ kind: "confirmed" }) as const);
          },
          close: () => Promise.resolve(),
        };
        // Everything was stored open, so that it gets nowhere before the last of them.
        await fixture.run(inBoth(({ range }) => `update waybill_subscription set last_id = 12, ${range(1, 12)}`));
        const relay = fixture.start({ transport });
        await fixture.isSaved(12);
        expect(relay.eventsOf("relay.leaseAcquired")[0]).toMatchObject({ isSolo: true, wasReleased: false });
        expect(seen).toEqual(Array.from({ length: 12 }, (_, place) => ({ sequences: [place + 1], soloId: place + 1 })));
        expect(underWayMax).toBe(1);
        await relay.seen("relay.soloEnded");
        await waitUntil(
          async () => {
            const { progressed, soloId } = await fixture.subscription();
            return progressed && soloId === null;
          },
          { what: "its progress is saved" },
        );
      });

      it("reads nothing new before all that was stored has been tried, so that another death leaves less behind, not more", async ({
        fixture,
      }) => {
        await fixture.appendMany(3);
        await leave(fixture, {});
        await fixture.run(inBoth(({ range }) => `update waybill_subscription set last_id = 3, ${range(1, 3)}`));
        await fixture.appendMany(20);
        const killer = memoryTransport();
        const hang = killer.inject({ kind: "hang", when: ({ sequence }) => sequence === 2n });
        const first = fixture.start({ memory: killer, publishDeadlineMs: 60_000, drainMs: 0 });
        await hang.hasFired();
        const reads = first.eventsOf("relay.batchApplied").length;
        await waitUntil(() => first.eventsOf("relay.batchApplied").length > reads + 2, { what: "it has read on" });
        expect(first.eventsOf("relay.batchApplied").every(({ lastId }) => lastId === 3n)).toBe(true);
        expect(first.sequences()).toEqual([1]);
        expect(await fixture.subscription()).toMatchObject({ lastId: 3, soloId: 2, progressed: false });
        await first.stop();

        await leave(fixture, {});
        const second = fixture.start();
        await second.hasPublished(22);
        expect(second.eventsOf("relay.leaseAcquired")[0]).toMatchObject({ isSolo: true });
        expect(second.sequences().slice(0, 2)).toEqual([2, 3]);
        expect(new Set(second.sequences())).toEqual(new Set(Array.from({ length: 22 }, (_, place) => place + 2)));
      });

      it("publishes as usual once it got somewhere", async ({ fixture }) => {
        await leave(fixture, {});
        await fixture.append(row("k"));
        const relay = fixture.start();
        await relay.seen("relay.soloEnded");
        const alone = relay.eventsOf("relay.soloPublishing").length;
        await fixture.appendMany(50);
        await relay.hasPublished(51);
        expect(relay.eventsOf("relay.soloPublishing")).toHaveLength(alone);
        await relay.stop();
        const next = fixture.start();
        await next.seen("relay.leaseAcquired", { when: ({ isSolo }) => !isSolo });
      });

      it("publishes as usual at once if the other got somewhere, or released its lease", async ({ fixture }) => {
        await leave(fixture, { progressed: true });
        const first = fixture.start();
        expect(await first.seen("relay.leaseAcquired")).toMatchObject({ isSolo: false, wasReleased: false });
        await first.stop();
        const second = fixture.start();
        expect(await second.seen("relay.leaseAcquired")).toMatchObject({ isSolo: false, wasReleased: true });
      });

      it("goes on alone after its own session failed, and counts no death", async ({ fixture }) => {
        await fixture.append(row("a"), row("b"), row("c"));
        await leave(fixture, {});
        await fixture.run(inBoth(({ range }) => `update waybill_subscription set last_id = 3, ${range(1, 3)}`));
        const transport = memoryTransport();
        transport.inject({ kind: "throw", times: 1, when: ({ sequence }) => sequence === 2n });
        const relay = fixture.start({ memory: transport });
        await relay.hasPublished(3);
        await relay.seen("relay.soloEnded");
        expect(relay.eventsOf("relay.soloPublishing").map(({ sequence }) => Number(sequence))).toEqual([1, 2, 2, 3]);
        expect(relay.eventsOf("relay.soloDeathCounted")).toEqual([]);
        expect(relay.eventsOf("relay.leaseAcquired").map(({ isSolo }) => isSolo)).toEqual([true, true]);
      });

      it("deals with all that may lie in its way: large ones, unreadable ones, rejected ones and those behind them", async ({
        fixture,
      }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "reject", reason: "tooLarge", when: ({ sequence }) => sequence === 3n });
        await fixture.append(
          row("a", "x".repeat(100_000)),
          { ...row("b"), headers: "[" },
          row("c"),
          row("c"),
          row("b", "y".repeat(50_000)),
          row(null),
        );
        await leave(fixture, {});
        await fixture.run(inBoth(({ range }) => `update waybill_subscription set last_id = 6, ${range(1, 6)}`));
        const relay = fixture.start({ memory: transport });
        await fixture.isSaved(6);
        await relay.seen("relay.soloEnded");
        expect(relay.sequences()).toEqual([1, 6]);
        expect(await fixture.letters()).toEqual(["2 dead malformedHeaders", "3 dead tooLarge", "4 held -", "5 held -"]);
      });

      it("publishes what was released alone, too, and has got nowhere before it has tried all of it", async ({ fixture }) => {
        // Two of them were released: the first is harmless, the second kills. Lanes come in the order of their keys, or of their digests.
        const transport = memoryTransport();
        transport.inject({ kind: "reject", reason: "tooLarge", times: 1_000 });
        await fixture.append(row("a"), row("c"));
        const first = fixture.start({ memory: transport });
        await waitUntil(async () => (await fixture.letters()).length === 2, { what: "both are dead" });
        await first.stop();
        await fixture.redrive();
        await leave(fixture, {});
        const killer = memoryTransport();
        const hang = killer.inject({ kind: "hang", when: ({ sequence }) => sequence === 2n });
        const second = fixture.start({ memory: killer, publishDeadlineMs: 60_000, drainMs: 0 });
        await hang.hasFired();
        await second.seen("relay.cursorSaved");
        const saves = second.eventsOf("relay.cursorSaved").length;
        await fixture.append(row("other"));
        await waitUntil(() => second.relay.health().unconfirmed > 0, { what: "a new message was read" });
        await waitUntil(() => second.eventsOf("relay.cursorSaved").length > saves, { what: "it was saved" });
        expect(second.sequences()).toEqual([1]);
        expect(await fixture.subscription()).toMatchObject({ soloId: 2, progressed: false });
      });
    });

    describe("the message that is written down", () => {
      it("is the one that goes, whatever comes out of a hole meanwhile", async ({ fixture }) => {
        const slow = await fixture.begin();
        await slow.append(row("k"));
        await leave(fixture, {});
        const published: (readonly [number, number | null])[] = [];
        const relay = fixture.start({
          leaseMs: 600_000,
          saveMs: 60_000, // so that the only save is the one that writes a message down
          transport: {
            publish: async (batch) => {
              const { soloId } = await fixture.subscription();
              published.push([Number(batch[0]?.sequence), soloId]);
              return batch.map(() => ({ kind: "confirmed" }) as const);
            },
            close: () => Promise.resolve(),
          },
        });
        await relay.seen("relay.batchApplied");
        // The save that writes 2 down is held up until 1 has been read.
        const blocker = await fixture.client();
        await blocker.run("begin");
        await blocker.run("select 1 from waybill_subscription for update");
        await fixture.append(row("k"));
        await relay.seen("relay.cursorSaving", { when: ({ lastId }) => lastId === 2n });
        await slow.commit();
        await relay.seen("relay.batchApplied", { when: ({ holeRanges, unconfirmed }) => holeRanges === 0 && unconfirmed === 2 });
        await blocker.run("commit");
        await waitUntil(() => published.length === 2, { what: "both are published" });
        expect(published[0]).toEqual([2, 2]);
      });
    });

    // MySQL and MariaDB have no commit that is relaxed for one statement alone.
    if (server.dialect === "postgres")
      describe("commits", () => {
        it("are relaxed for saves of the cursor, and durable for the lease and for what is written down before a message goes alone", async ({
          fixture,
        }) => {
          await fixture.run("create table commits (what text, mode text)");
          await fixture.run(`
      create function note_commit() returns trigger language plpgsql as $$
      begin
        insert into commits
        select case when new.epoch > old.epoch then 'acquire' when new.owner is null then 'release'
                    when new.solo_id is not null then 'alone' when new.last_id > old.last_id then 'save' else 'other' end,
               current_setting('synchronous_commit');
        return null;
      end $$`);
          await leave(fixture, {});
          await fixture.run(
            "create constraint trigger note_commit after update on waybill_subscription deferrable initially deferred for each row execute function note_commit()",
          );
          await fixture.append(row("k"));
          const relay = fixture.start();
          await relay.seen("relay.soloEnded");
          await fixture.append(row("k"), row("k"));
          await fixture.isSaved(3);
          await relay.stop();
          const modes = await fixture.run(
            "select what, string_agg(distinct mode, ',') as mode from commits where what <> 'other' group by what order by what",
          );
          expect(modes).toEqual([
            { what: "acquire", mode: "on" },
            { what: "alone", mode: "on" },
            { what: "release", mode: "on" },
            { what: "save", mode: "off" },
          ]);
        });
      });

    describe("a death", () => {
      it("is counted for the message that was published alone, before anything is published", async ({ fixture }) => {
        await fixture.append(row("a"), row("b"));
        await leave(fixture, { soloId: 2, soloDeaths: { "1": 1, "2": 1 } });
        const transport = memoryTransport();
        const rows: unknown[] = [];
        const relay = fixture.start({
          transport: {
            publish: async (batch) => {
              rows.push((await fixture.subscription()).soloDeaths);
              return batch.map(() => ({ kind: "confirmed" }) as const);
            },
            close: () => transport.close({ deadlineMs: 0 }),
          },
        });
        expect(await relay.seen("relay.soloDeathCounted")).toMatchObject({ sequence: 2n, deaths: 2 });
        await waitUntil(() => rows.length === 2, { what: "both are published" });
        // Two killers do not clear each other's count; an outcome clears its own.
        expect(rows).toEqual([{ "1": 1, "2": 2 }, { "2": 2 }]);
        await waitUntil(async () => Object.keys((await fixture.subscription()).soloDeaths).length === 0, { what: "nobody is suspected" });
      });

      it("is cleared by any outcome, a failure included", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", times: 1_000_000, when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("a"));
        await leave(fixture, { soloId: 1, soloDeaths: { "1": 1 } });
        const relay = fixture.start({ memory: transport });
        await failing.hasFired();
        await waitUntil(async () => Object.keys((await fixture.subscription()).soloDeaths).length === 0, { what: "it is cleared" });
        expect(relay.eventsOf("relay.soloDeathCounted")).toMatchObject([{ deaths: 2 }]);
      });

      it("the third one makes the message a dead letter, unpublished, and its neighbours are published", async ({ fixture }) => {
        await fixture.append(row("a"), row("b"), row("c"));
        await leave(fixture, { soloId: 2, soloDeaths: { "2": 2 } });
        const relay = fixture.start();
        await waitUntil(async () => (await fixture.letters()).join() === "2 dead killsTheRelay", { what: "the killer is a dead letter" });
        await relay.hasPublished(2);
        await fixture.isSaved(3);
        expect(relay.sequences()).toEqual([1, 3]);
        const [letter] = await fixture.run("select may_be_stored from waybill_dead_letter");
        expect(Number(letter?.may_be_stored)).toBe(1);
        expect((await fixture.subscription()).soloDeaths).toEqual({});
      });

      it("the third one of a released message makes it dead again", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "reject", reason: "tooLarge", times: 1 });
        await fixture.append(row("a"));
        const first = fixture.start({ memory: transport });
        await waitUntil(async () => (await fixture.letters()).length === 1, { what: "it is dead" });
        await first.stop();
        await fixture.redrive();
        await leave(fixture, { soloId: 1, soloDeaths: { "1": 2 } });
        const second = fixture.start();
        await waitUntil(async () => (await fixture.letters()).join() === "1 dead killsTheRelay", { what: "it is dead again" });
        expect(second.transport.received).toEqual([]);
      });
    });

    describe("a message that kills every relay that publishes it", () => {
      it("is found and put aside, however busy its neighbours are, and all of them are published", async ({ fixture }) => {
        await fixture.appendMany(6, "'orders', null, '{}'");
        const { deaths, published } = await dieOf(fixture, 4, () => fixture.appendMany(2, "'orders', null, '{}'"));
        const total = 6 + 2 * (deaths + 1);
        await fixture.isSaved(total);
        expect(await fixture.letters()).toEqual(["4 dead killsTheRelay"]);
        expect(new Set(published())).toEqual(new Set(Array.from({ length: total }, (_, place) => place + 1).filter((id) => id !== 4)));
        expect(deaths).toBeGreaterThanOrEqual(3);
        expect(deaths).toBeLessThanOrEqual(6);
      });
    });
  }),
);
