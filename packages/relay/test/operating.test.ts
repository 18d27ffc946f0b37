/** What operators do to subscriptions, beside relays that run and messages that wait. */
import { namespace } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import {
  createSubscription,
  deleteSubscription,
  moveSubscription,
  pauseSubscription,
  resumeSubscription,
  type SubscriptionName,
} from "../src/index.ts";
import { firstPublications, isAscending, itOn, type RelayFixture, row, type StartedRelay } from "./relay-fixture.ts";

const by = { who: "ann", why: "as agreed" };

/** The operations on the fixture's database. */
function operator({ database }: RelayFixture) {
  const space = namespace(database.dialect);
  const name: SubscriptionName = {};
  return {
    create: (subscription: string, at: Parameters<typeof createSubscription>[3]) =>
      createSubscription(database, space, { subscription }, at, by),
    move: (to: Parameters<typeof moveSubscription>[3]) => moveSubscription(database, space, name, to, by),
    pause: () => pauseSubscription(database, space, name, by),
    resume: (acceptRepeats = false) => resumeSubscription(database, space, name, { ...by, acceptRepeats }),
    remove: () => deleteSubscription(database, space, name, by),
  };
}

const refused = (reason: string) =>
  expect.objectContaining({ code: "WAYBILL_SUBSCRIPTION_REFUSED", facts: expect.objectContaining({ reason }) });

const audited = async (fixture: RelayFixture): Promise<readonly unknown[]> =>
  (await fixture.run("select who, what, subject, why from waybill_audit order by id")).map(({ who, what, subject, why }) =>
    [who, what, subject, why].join("|"),
  );

const standsBy = (relay: StartedRelay, state: string, after = 0): Promise<unknown> =>
  relay.seen("relay.standby", { when: (event) => event.state === state, after });

/** Everything from `first` to `last` was published by one of the relays, and each key's first publications are in order. */
function expectWhole(relays: readonly StartedRelay[], first: number, last: number): void {
  const received = relays.flatMap(({ transport }) => transport.received);
  const sequences = new Set(received.map(({ sequence }) => Number(sequence)));
  const missing = Array.from({ length: last - first + 1 }, (_, place) => first + place).filter((sequence) => !sequences.has(sequence));
  expect(missing).toEqual([]);
}

await forEachDatabase((server) => {
  describe(`operating subscriptions on ${server.name}`, () => {
    const it = itOn(server);

    it("makes one at the beginning, now, at an id or at a time, and each is given what comes after", async ({ fixture }) => {
      await fixture.append(...Array.from({ length: 4 }, () => row("k")));
      await fixture.run({
        postgres: "update waybill_outbox set created_at = '2024-05-01T10:00:00Z'::timestamptz + id * interval '1 hour'",
        mysql: "update waybill_outbox set created_at = timestamp('2024-05-01 10:00:00') + interval id hour",
      });
      const { create } = operator(fixture);
      const atThree = { timeMs: Date.parse("2024-05-01T13:00:00Z"), marginMs: 0 };
      const made = {
        all: await create("all", "beginning"),
        none: await create("none", "now"),
        two: await create("two", { id: 2n }),
        three: await create("three", atThree),
        back: await create("back", { ...atThree, marginMs: 3_600_000 }),
        early: await create("early", { timeMs: 0 }),
        late: await create("late", { timeMs: Date.parse("2024-06-01T00:00:00Z") }),
      };
      expect(Object.values(made).map(({ after }) => after?.lastId)).toEqual([0n, 4n, 1n, 2n, 1n, 0n, 4n]);
      const relay = fixture.start({ subscription: "three" });
      await relay.hasPublished(2);
      expect(relay.sequences()).toEqual([3, 4]);
      await expect(create("two", "now")).rejects.toEqual(refused("exists"));
      expect(await audited(fixture)).toHaveLength(7);
      expect((await audited(fixture))[2]).toBe("ann|subscription.create|subscription default/two|as agreed");
    });

    it("refuses a place that the ledger does not have, and says which it has", async ({ fixture }) => {
      await fixture.append(...Array.from({ length: 5 }, () => row("k")));
      const { create } = operator(fixture);
      await fixture.run("update waybill_stream set removed_to = 2");
      const facts = { stream: "default", lowest: 3n, highest: 5n };
      await expect(create("a", { id: 2n })).rejects.toMatchObject({ code: "WAYBILL_POSITION_REFUSED", facts: { ...facts, asked: 2n } });
      await expect(create("a", { id: 7n })).rejects.toMatchObject({ code: "WAYBILL_POSITION_REFUSED", facts: { ...facts, asked: 7n } });
      expect((await create("a", { id: 6n })).after).toEqual({ state: "active", lastId: 5n });
      expect((await create("b", "beginning")).after).toEqual({ state: "active", lastId: 2n });
      expect(await audited(fixture)).toHaveLength(2);
    });

    it("refuses what is not there, and leaves alone what is already as asked", async ({ fixture }) => {
      const { move, pause, resume, remove, create } = operator(fixture);
      for (const change of [() => move("now"), pause, resume, remove]) await expect(change()).rejects.toEqual(refused("missing"));
      await create("default", "beginning");
      expect(await resume()).toMatchObject({ isChanged: false });
      expect(await pause()).toMatchObject({ isChanged: true, after: { state: "paused" } });
      expect(await pause()).toMatchObject({ isChanged: false });
      expect((await audited(fixture)).length).toBe(2);
    });

    it("pauses a relay that runs, and lets it go on where it was", async ({ fixture }) => {
      const { pause, resume } = operator(fixture);
      await fixture.appendMany(500);
      const relays = [fixture.start(), fixture.start()];
      await waitUntil(() => relays.some(({ transport }) => transport.received.length > 0), { what: "one publishes" });
      expect(await pause()).toMatchObject({ isChanged: true, before: { state: "active" }, after: { state: "paused" } });
      await Promise.all(relays.map((relay) => standsBy(relay, "paused")));
      const before = relays.map(({ transport }) => transport.received.length);
      await fixture.appendMany(100);
      await resume();
      await fixture.isSaved(600);
      expectWhole(relays, 1, 600);
      for (const { transport } of relays)
        for (const ids of firstPublications(transport.received).values()) expect(isAscending(ids)).toBe(true);
      expect(before.some((count) => count > 0)).toBe(true);
    });

    it("moves a relay back and forth in the middle of its backlog: nothing is lost, and each key keeps its order", {
      timeout: 60_000,
    }, async ({ fixture }) => {
      const { move } = operator(fixture);
      await fixture.appendMany(3_000);
      const order: number[] = [];
      const relays = [fixture.start({ batchMax: 20 }), fixture.start({ batchMax: 20 })];
      const published = (): number => relays.reduce((sum, { transport }) => sum + transport.received.length, 0);
      for (const target of [1n, 400n, 1n]) {
        const from = published();
        await waitUntil(() => published() >= Math.min(from + 300, 3_000), { what: "more is published" });
        order.push(Number((await move({ id: target })).before?.lastId));
      }
      await fixture.isSaved(3_000);
      expectWhole(relays, 1, 3_000);
      for (const { transport } of relays)
        for (const ids of firstPublications(transport.received).values()) expect(isAscending(ids)).toBe(true);
      expect((await audited(fixture)).length).toBe(3);
    });

    it("passes over what lies before the place it is moved to", async ({ fixture }) => {
      const { pause, move, resume, create } = operator(fixture);
      await create("default", "beginning");
      await pause();
      await fixture.append(row("k"), row("k"), row("k"));
      expect((await move({ id: 3n })).after).toEqual({ state: "paused", lastId: 2n });
      const relay = fixture.start();
      await standsBy(relay, "paused");
      await resume();
      await relay.hasPublished(1);
      expect(relay.sequences()).toEqual([3]);
    });

    it("publishes a redriven message again when it is moved back, and neither what is undecided nor what was discarded", async ({
      fixture,
    }) => {
      const { move } = operator(fixture);
      await fixture.append(row("a"), row("b"), row("c"), row("d"));
      const relay = fixture.start();
      await relay.hasPublished(4);
      await fixture.isSaved(4);
      await relay.stop();
      const state = (sequence: number, as: string, decided: boolean) =>
        fixture.run({
          postgres: `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, key, state, reason, decided_at)
                     select 'relay', 'default/default', id, message_id::text, type, topic, key, '${as}', 'r', ${decided ? "clock_timestamp()" : "null"}
                     from waybill_outbox where id = ${sequence}`,
          mysql: `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, \`key\`, state, reason, decided_at)
                  select 'relay', 'default/default', id, message_id, type, topic, \`key\`, '${as}', 'r', ${decided ? "utc_timestamp(6)" : "null"}
                  from waybill_outbox where id = ${sequence}`,
        });
      await state(1, "done", true);
      await state(2, "dead", false);
      await state(3, "discarded", true);
      await move("beginning");
      const again = fixture.start();
      await fixture.isSaved(4);
      expect(again.sequences()).toEqual([1, 4]);
      expect(await fixture.letters()).toEqual(["2 dead r", "3 discarded r"]);
    });

    it("deletes one that runs: its relay stands by and does not make it again", async ({ fixture }) => {
      const { remove, create } = operator(fixture);
      await fixture.append(row("k"));
      const relay = fixture.start({ leaseMs: 1_000 });
      await relay.hasPublished(1);
      await fixture.isSaved(1);
      expect(await remove()).toMatchObject({ isChanged: true, after: null });
      await standsBy(relay, "deleted");
      expect(relay.relay.health()).toMatchObject({ state: "stopped", stateReason: "deleted" });
      expect(await fixture.run("select 1 from waybill_subscription")).toEqual([]);
      await create("default", "now");
      await fixture.append(row("k"));
      await relay.hasPublished(2);
      expect(relay.sequences()).toEqual([1, 2]);
    });

    it("deletes none whose dead letters are not decided", async ({ fixture }) => {
      const { remove } = operator(fixture);
      await fixture.append({ ...row("k"), type: "" });
      const relay = fixture.start();
      await relay.seen("relay.deadLettered");
      await relay.stop();
      await expect(remove()).rejects.toEqual(refused("deadLetters"));
      expect((await fixture.subscription()).state).toBe("active");
      expect(await audited(fixture)).toEqual([]);
      await fixture.discard();
      await remove();
      expect(await fixture.letters()).toEqual([]);
    });

    it("a restored outbox stops its reader, and resuming it loses nothing that is there", async ({ fixture }) => {
      const { resume, pause } = operator(fixture);
      await fixture.append(row("a"), row("b"));
      await fixture.run("create table backup as select * from waybill_outbox");
      await fixture.append({ ...row("z"), type: "" }, row("a"), row("b"));
      const first = fixture.start();
      await first.hasPublished(4);
      await fixture.isSaved(5);
      await first.stop();
      // The outbox alone comes back from its copy. Then ids 3 and 4 are given again, 3 to another message than the dead letter's.
      await fixture.run({ postgres: "truncate waybill_outbox restart identity", mysql: "truncate waybill_outbox" });
      const columns = { postgres: "type, topic, key, payload, message_id", mysql: "type, topic, `key`, payload, message_id" };
      await fixture.run({
        postgres: `insert into waybill_outbox (${columns.postgres}) select ${columns.postgres} from backup order by id`,
        mysql: `insert into waybill_outbox (id, ${columns.mysql}) select id, ${columns.mysql} from backup order by id`,
      });
      await fixture.run("drop table backup");
      const [left] = await fixture.run("select max(id) as id from waybill_outbox");
      expect(Number(left?.id)).toBe(2);
      await fixture.append(row("c"), row("a"));
      const relay = fixture.start();
      await relay.seen("relay.subscriptionStopped");
      // While it stands, the ids pass the cursor.
      await fixture.append(row("b"), row("c"), row("a"));
      await expect(resume()).rejects.toEqual(refused("decisionNeeded"));
      await expect(pause()).rejects.toEqual(refused("stopped"));
      expect((await resume(true)).after).toEqual({ state: "active", lastId: 0n });
      await relay.hasPublished(7);
      await fixture.isSaved(7);
      expect([...relay.sequences()].sort((left, right) => left - right)).toEqual([1, 2, 3, 4, 5, 6, 7]);
      for (const ids of firstPublications(relay.transport.received).values()) expect(isAscending(ids)).toBe(true);
      expect(await audited(fixture)).toEqual([
        "waybill relay|subscription.stop|subscription default/default|idsWentBack:5:4",
        "ann|subscription.resume|subscription default/default|as agreed",
      ]);
    });

    it("moving one that was stopped is the decision, too, and leaves it paused", async ({ fixture }) => {
      const { move, resume } = operator(fixture);
      await fixture.append(row("k"), row("k"), row("k"));
      const first = fixture.start();
      await first.hasPublished(3);
      await fixture.isSaved(3);
      await first.stop();
      await fixture.run({ postgres: "truncate waybill_outbox restart identity", mysql: "truncate waybill_outbox" });
      await fixture.append(row("k"), row("k"));
      const relay = fixture.start();
      await relay.seen("relay.subscriptionStopped");
      expect((await move({ id: 2n })).after).toEqual({ state: "paused", lastId: 1n });
      await resume();
      await relay.hasPublished(1);
      expect(relay.sequences()).toEqual([2]);
    });
  });
});
