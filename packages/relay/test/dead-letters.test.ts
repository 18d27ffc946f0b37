import { type Clock, systemClock, type Transport, waybillError } from "@waybill/core";
import { forEachDatabase, type MemoryTransport, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

const hasLetters = (fixture: RelayFixture, ...wanted: readonly string[]): Promise<unknown> =>
  waitUntil(async () => (await fixture.letters()).join("\n") === wanted.join("\n"), { what: `the dead letters are ${wanted.join(", ")}` });

/** Of each dead letter, its attempts and whether it may be stored. */
const tries = async (fixture: RelayFixture): Promise<readonly (readonly [number, boolean])[]> =>
  (await fixture.run("select attempts, may_be_stored from waybill_dead_letter")).map(
    (letter) => [Number(letter.attempts), Boolean(Number(letter.may_be_stored))] as const,
  );

/** A transport that rejects these sequences until it is healed. */
function rejecting(...sequences: readonly number[]): MemoryTransport {
  const transport = memoryTransport();
  transport.inject({ kind: "reject", reason: "tooLarge", times: 1_000, when: ({ sequence }) => sequences.includes(Number(sequence)) });
  return transport;
}

await forEachDatabase((server) =>
  describe(`dead letters on ${server.name}`, () => {
    const it = itOn(server);

    describe("a message that is rejected", () => {
      it("becomes a dead letter, and its batch goes on", async ({ fixture }) => {
        await fixture.append(row("a", "1"), { ...row("b", "2"), headers: '{"x":"y"}' }, row("c", "3"), row(null, "4"));
        const relay = fixture.start({ memory: rejecting(2, 4) });
        await hasLetters(fixture, "2 dead tooLarge", "4 dead tooLarge");
        await fixture.isSaved(4);
        expect(new Set(relay.sequences())).toEqual(new Set([1, 3]));
        const [letter] = await fixture.run("select * from waybill_dead_letter where sequence = 2");
        const [stored] = await fixture.run("select message_id, created_at from waybill_outbox where id = 2");
        expect(Math.abs(Number(letter?.created_at) - Number(stored?.created_at))).toBeLessThanOrEqual(1);
        expect(letter).toMatchObject({
          origin: "relay",
          type: "shop.order.placed.v1",
          topic: "orders",
          key: "b",
          headers: '{"x":"y"}',
          payload: "2",
        });
        expect([String(letter?.message_id), Number(letter?.may_be_stored)]).toEqual([stored?.message_id, 0]);
        expect(relay.eventsOf("relay.deadLettered")).toMatchObject([{ sequence: 2n }, { sequence: 4n }]);
      });

      it("counts as finished only when its copy is durable: nothing is lost while the table cannot be written", async ({ fixture }) => {
        const blocker = await fixture.client();
        await blocker.run("begin");
        await blocker.run({ postgres: "lock table waybill_dead_letter in share mode", mysql: "lock tables waybill_dead_letter read" });
        await fixture.append(row("a"), row("b"), row("a"));
        // The unit that inserts holds the subscription's row, so nothing can be saved or renewed meanwhile.
        const relay = fixture.start({ memory: rejecting(1), leaseMs: 600_000 });
        await relay.seen("relay.deadLettering");
        await relay.hasPublished(1);
        await waitUntil(() => relay.eventsOf("relay.cursorSaving").length > 0, { what: "a save waits" });
        expect(relay.sequences()).toEqual([2]);
        expect(relay.relay.health().lowWaterMark).toBe(1n);
        const { lastId, ranges } = await fixture.subscription();
        expect(lastId === 0 || ranges[0]?.startsWith("1-") === true).toBe(true);
        await blocker.run({ postgres: "commit", mysql: "unlock tables" });
        await hasLetters(fixture, "1 dead tooLarge", "3 held -");
      });
    });

    describe("a relay that has lost its lease", () => {
      it("writes no dead letter any more, however late its unit comes", async ({ fixture }) => {
        const blocker = await fixture.client();
        const relay = fixture.start({ memory: rejecting(1), leaseMs: 600_000 });
        await relay.seen("relay.batchApplied");
        await blocker.run("begin");
        await blocker.run("select 1 from waybill_subscription for update");
        await fixture.append(row("k"));
        await relay.seen("relay.deadLettering");
        // The unit waits for the row; when it gets it, the lease is somebody else's.
        await blocker.run({
          postgres:
            "update waybill_subscription set epoch = epoch + 1, owner = gen_random_uuid(), lease_until = clock_timestamp() + interval '1 hour'",
          mysql: "update waybill_subscription set epoch = epoch + 1, owner = uuid(), lease_until = utc_timestamp(6) + interval 1 hour",
        });
        await blocker.run("commit");
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "fenced" });
        await relay.seen("relay.standby");
        expect(await fixture.letters()).toEqual([]);
        expect(relay.eventsOf("relay.deadLettered")).toEqual([]);
      });
    });

    describe("behind a dead letter, with the policy hold", () => {
      it("messages are held, and released in order by its redrive; newer ones join until the lane is clear", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k", "1"), row("k", "2"), row("other", "3"), row("k", "4"));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "4 held -");
        expect(relay.sequences()).toEqual([3]);
        await fixture.append(row("k", "5"));
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "4 held -", "5 held -");
        transport.heal();
        expect(await fixture.redrive()).toBe(1);
        await fixture.append(row("k", "6"));
        await relay.hasPublished(6);
        expect(relay.sequences()).toEqual([3, 1, 2, 4, 5, 6]);
        const ids = await fixture.run({
          postgres: "select message_id from waybill_outbox where key = 'k' order by id",
          mysql: "select message_id from waybill_outbox where `key` = 'k' order by id",
        });
        expect(transport.received.filter(({ key }) => key === "k").map(({ id }) => id)).toEqual(ids.map(({ message_id: id }) => id));
        await waitUntil(async () => (await fixture.letters()).every((letter) => letter.split(" ")[1] === "done"), { what: "all are done" });
        await fixture.append(row("k", "7"));
        await relay.hasPublished(7);
        expect(relay.sequences().at(-1)).toBe(7);
      });

      it("payloads come out of the dead letters as the bytes that went in", async ({ fixture }) => {
        const transport = rejecting(1);
        const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
        const payloads = ["first", everyByte, "", new Uint8Array(0), null, "ü 世界 🚚 \u2028", "z".repeat(300_000)];
        await fixture.append(...payloads.map((payload) => row("k", payload)));
        const relay = fixture.start({ memory: transport });
        await waitUntil(async () => (await fixture.letters()).length === payloads.length, { what: "all are dead or held" });
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(payloads.length);
        const bytes = (payload: string | Uint8Array | null): string | null =>
          payload === null ? null : Buffer.from(payload).toString("base64");
        expect(transport.received.map(({ payload }) => bytes(payload))).toEqual(payloads.map(bytes));
      });

      it("hundreds are held and released in order, while more come", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.appendMany(250, "'orders', 'k', '{}'");
        // A lease that ran out under load would have what is on the wire published again, which is right and not what is asked here.
        const relay = fixture.start({ memory: transport, leaseMs: 60_000 });
        await waitUntil(async () => (await fixture.letters()).length === 250, { what: "all are dead or held" });
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(1);
        await fixture.appendMany(150, "'orders', 'k', '{}'");
        await relay.hasPublished(400);
        expect(relay.sequences()).toEqual(Array.from({ length: 400 }, (_, place) => place + 1));
        await fixture.isSaved(400);
        await waitUntil(async () => (await fixture.letters()).every((letter) => letter.split(" ")[1] === "done"), { what: "all are done" });
      });

      it("a discard lets those behind it go", async ({ fixture }) => {
        await fixture.append(row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: rejecting(1) });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -");
        expect(await fixture.discard({ state: "dead" })).toBe(1);
        await relay.hasPublished(2);
        await hasLetters(fixture, "1 discarded tooLarge", "2 done -", "3 done -");
        expect(relay.sequences()).toEqual([2, 3]);
      });

      it("what was discarded while it was held is never published", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -");
        const [second] = await fixture.run("select message_id from waybill_dead_letter where sequence = 2");
        expect(await fixture.discard({ messageId: String(second?.message_id) })).toBe(1);
        transport.heal();
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge", "2 discarded -", "3 done -");
        expect(relay.sequences()).toEqual([1, 3]);
      });

      it("what is being published cannot be discarded any more", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"), row("k"));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -");
        transport.heal();
        const discards: Promise<number>[] = [];
        transport.inject({
          kind: "delay",
          afterMs: 100,
          times: 1_000,
          when: () => {
            if (discards.length === 0) discards.push(fixture.discard());
            return true;
          },
        });
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge", "2 done -");
        expect(await Promise.all(discards)).toEqual([0]);
        expect(relay.sequences()).toEqual([1, 2]);
      });

      it("one that is refused again is dead again, and those behind it are held again", async ({ fixture }) => {
        const transport = rejecting(1, 3);
        await fixture.append(row("k"), row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -", "4 held -");
        await fixture.redrive();
        await relay.seen("relay.deadLettered", { after: relay.events.length });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -", "4 held -");
        expect(relay.sequences()).toEqual([]);
        transport.heal();
        transport.inject({ kind: "reject", reason: "forbidden", times: 1_000, when: ({ sequence }) => sequence === 3n });
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge", "2 done -", "3 dead forbidden", "4 held -");
        expect(relay.sequences()).toEqual([1, 2]);
        await fixture.append(row("k"));
        await hasLetters(fixture, "1 done tooLarge", "2 done -", "3 dead forbidden", "4 held -", "5 held -");
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(5);
        expect(relay.sequences()).toEqual([1, 2, 3, 4, 5]);
      });

      it("a lane of two dead letters is released up to the second", async ({ fixture }) => {
        await fixture.append(row("k"));
        const first = fixture.start({ memory: rejecting(1, 3) });
        await hasLetters(fixture, "1 dead tooLarge");
        await fixture.append(row("k"), row("k"), row("k"));
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -", "4 held -");
        // A held one gets a reason of its own: as after a redrive of the whole lane that stopped there.
        await fixture.run("update waybill_dead_letter set state = 'dead', reason = 'tooLarge' where sequence = 3");
        const [one] = await fixture.run("select message_id from waybill_dead_letter where sequence = 1");
        first.transport.heal();
        await fixture.redrive({ messageId: String(one?.message_id) });
        await hasLetters(fixture, "1 done tooLarge", "2 done -", "3 dead tooLarge", "4 held -");
        expect(first.sequences()).toEqual([1, 2]);
      });

      it("an outage while released messages are published costs none of them its place or its release", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -");
        transport.heal();
        transport.inject({ kind: "retry", scope: "transport", times: 3 });
        transport.inject({ kind: "retry", scope: "topic", times: 3 });
        transport.inject({ kind: "unknown", isStored: true, times: 1 });
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge", "2 done -", "3 done -");
        expect(relay.sequences().filter((sequence, place, all) => all.indexOf(sequence) === place)).toEqual([1, 2, 3]);
        expect(new Set(relay.eventsOf("relay.retrying").map(({ scope }) => scope))).toEqual(new Set(["transport", "topic", "message"]));
      });

      it("a row that somebody is at after it was published is waited for: not published again, and the session goes on", async ({
        fixture,
      }) => {
        const memory = rejecting(1);
        const blocker = await fixture.client();
        await blocker.run("begin");
        let isLocked = false;
        const locksFirst: Transport = {
          ...memory,
          publish: async (batch, options) => {
            if (isReleased && !isLocked) await blocker.run("select 1 from waybill_dead_letter where origin = 'relay' for update");
            isLocked ||= isReleased;
            return memory.publish(batch, options);
          },
        };
        let isReleased = false;
        await fixture.append(row("k"), row("k"));
        const relay = fixture.start({ memory, transport: locksFirst, leaseMs: 6_000 });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -");
        memory.heal();
        isReleased = true;
        await fixture.redrive();
        await relay.hasPublished(2);
        const renewals = relay.eventsOf("relay.leaseRenewed").length;
        await waitUntil(() => relay.eventsOf("relay.leaseRenewed").length >= renewals + 2, {
          what: "the lease was renewed twice",
          deadlineMs: 30_000,
        });
        await blocker.run("commit");
        await hasLetters(fixture, "1 done tooLarge", "2 done -");
        expect(relay.sequences()).toEqual([1, 2]);
        expect(relay.eventsOf("relay.leaseAcquired")).toHaveLength(1);
      });

      it("held messages keep their place under a relay that skips", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"), row("k"));
        const holding = fixture.start({ memory: transport, keyPolicy: "hold" });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -");
        await holding.stop();
        const skipping = fixture.start({ memory: transport, keyPolicy: "skip" });
        await fixture.append(row("k"), row("other"));
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 held -");
        expect(skipping.sequences()).toEqual([4]);
        transport.heal();
        await fixture.redrive();
        await waitUntil(() => transport.received.length === 4, { what: "all are published" });
        expect(transport.received.map(({ sequence }) => Number(sequence))).toEqual([4, 1, 2, 3]);
      });
    });

    describe("behind a dead letter, with the policy skip", () => {
      it("nothing waits, and a released one is published whenever that happens", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: transport, keyPolicy: "skip" });
        await hasLetters(fixture, "1 dead tooLarge");
        await relay.hasPublished(2);
        await fixture.append(row("k"));
        await relay.hasPublished(3);
        expect(relay.sequences()).toEqual([2, 3, 4]);
        transport.heal();
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge");
        expect(relay.sequences()).toEqual([2, 3, 4, 1]);
      });
    });

    describe("a message without key", () => {
      it("holds nothing, and is released by itself", async ({ fixture }) => {
        const transport = rejecting(1, 3);
        await fixture.append(row(null), row(null), row(null), row(null));
        const relay = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "3 dead tooLarge");
        await relay.hasPublished(2);
        expect(new Set(relay.sequences())).toEqual(new Set([2, 4]));
        transport.heal();
        await fixture.redrive();
        await hasLetters(fixture, "1 done tooLarge", "3 done tooLarge");
        expect(transport.received).toHaveLength(4);
      });

      it("waits with backoff when it is released and fails for its own sake", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row(null));
        const relay = fixture.start({ memory: transport, messageBackoff: { firstMs: 600_000, maxMs: 600_000 } });
        await hasLetters(fixture, "1 dead tooLarge");
        transport.heal();
        const failing = transport.inject({ kind: "retry", times: 1_000 });
        await fixture.redrive();
        await failing.hasFired();
        const looks = relay.eventsOf("relay.releasedReading").length;
        await waitUntil(() => relay.eventsOf("relay.releasedReading").length >= looks + 3, { what: "three more looks for released ones" });
        expect(failing.fired).toBe(1);
      });

      it("is published as many at a time as the topic may have calls, when many are released at once", async ({ fixture }) => {
        await fixture.appendMany(30, "'orders', null, '{}'");
        const transport = memoryTransport();
        for (let code = 0; code < 4; code += 1)
          transport.inject({
            kind: "reject",
            reason: `reason${code}`,
            times: 1_000,
            when: ({ sequence }) => Number(sequence) % 4 === code,
          });
        const relay = fixture.start({ memory: transport, callsPerTopicMax: 2 });
        await waitUntil(async () => (await fixture.letters()).length === 30, { what: "all are dead" });
        transport.heal();
        let callsMax = 0;
        transport.inject({
          kind: "delay",
          afterMs: 5,
          times: 1_000,
          when: () => {
            callsMax = Math.max(callsMax, transport.callsUnderWay);
            return true;
          },
        });
        await fixture.redrive();
        await relay.hasPublished(30);
        expect(callsMax).toBeLessThanOrEqual(2);
      });
    });

    describe("what cannot be sent", () => {
      it("is dead again when it is released, for the same reason", async ({ fixture }) => {
        await fixture.append({ ...row("a"), type: "" }, { ...row("b"), headers: "[" }, row("a"), row("b"));
        const relay = fixture.start();
        await hasLetters(fixture, "1 dead emptyType", "2 dead malformedHeaders", "3 held -", "4 held -");
        await fixture.redrive();
        await waitUntil(() => relay.eventsOf("relay.deadLettered").length === 4, { what: "both were given up again" });
        await hasLetters(fixture, "1 dead emptyType", "2 dead malformedHeaders", "3 held -", "4 held -");
        expect(relay.sequences()).toEqual([]);
        await fixture.discard({ state: "dead" });
        await relay.hasPublished(2);
        expect(new Set(relay.sequences())).toEqual(new Set([3, 4]));
      });
    });

    describe("looking up", () => {
      /** Sets the cursor back, as if the saves since had been lost in a crash. */
      const setBack = (fixture: RelayFixture): Promise<unknown> =>
        fixture.run({
          postgres:
            "update waybill_subscription set last_id = 0, hole_lo = '{}', hole_hi = '{}', epoch = epoch + 1, owner = null, lease_until = '-infinity'",
          mysql: "update waybill_subscription set last_id = 0, holes = '[]', epoch = epoch + 1, owner = null, lease_until = '1970-01-01'",
        });

      it("messages that are read twice are looked up: one with a dead letter in any state is never published from the ledger", async ({
        fixture,
      }) => {
        const transport = rejecting(1, 3);
        await fixture.append(row("a"), row("a"), row("b"), row("c"));
        const first = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -", "3 dead tooLarge");
        await first.hasPublished(1);
        await first.stop();
        await fixture.discard({
          topic: "orders",
          state: "dead",
          messageId: String((await fixture.run("select message_id from waybill_dead_letter where sequence = 3"))[0]?.message_id),
        });
        transport.heal();
        await setBack(fixture);
        const second = fixture.start();
        await second.hasPublished(1);
        await fixture.isSaved(4);
        expect(second.sequences()).toEqual([4]);
        expect(second.eventsOf("relay.lookedUp")[0]).toMatchObject({ finished: 3 });
        await fixture.redrive();
        await second.hasPublished(3);
        await hasLetters(fixture, "1 done tooLarge", "2 done -", "3 discarded tooLarge");
        await second.stop();
        await setBack(fixture);
        // Nothing is open any more; ids up to the highest dead letter are looked up all the same.
        const third = fixture.start();
        await third.hasPublished(1);
        await fixture.isSaved(4);
        expect(third.sequences()).toEqual([4]);
      });

      it("a relay that starts finds lanes that are held, before it publishes anything of them", async ({ fixture }) => {
        const transport = rejecting(1);
        await fixture.append(row("k"));
        const first = fixture.start({ memory: transport });
        await hasLetters(fixture, "1 dead tooLarge");
        await fixture.isSaved(1);
        await first.stop();
        await fixture.append(row("k"), row("other"));
        const second = fixture.start();
        await hasLetters(fixture, "1 dead tooLarge", "2 held -");
        await second.hasPublished(1);
        expect(second.sequences()).toEqual([3]);
      });

      it("is left out while nothing is open, and begins again with a dead letter", async ({ fixture }) => {
        const transport = rejecting(3);
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport });
        await fixture.append(row("k"));
        await relay.hasPublished(2);
        expect(relay.eventsOf("relay.lookingUp")).toEqual([]);
        await fixture.append(row("k"));
        await hasLetters(fixture, "3 dead tooLarge");
        await fixture.append(row("other"));
        await relay.seen("relay.lookedUp");
        await fixture.discard();
        const looks = relay.eventsOf("relay.releasedReading").length;
        await waitUntil(() => relay.eventsOf("relay.releasedReading").length >= looks + 2, { what: "it was asked what is open" });
        const lookUps = relay.eventsOf("relay.lookingUp").length;
        await fixture.append(row("k"));
        await relay.hasPublished(4);
        expect(relay.eventsOf("relay.lookingUp")).toHaveLength(lookUps);
      });

      it("a dead letter that was written without an answer is found by the next session, and not given up or published twice", async ({
        fixture,
      }) => {
        await fixture.append(row("k"), row("k"));
        const relay = fixture.start({ memory: rejecting(1), saveMs: 60_000 });
        await relay.seen("relay.deadLettered");
        await fixture.endOthers();
        await relay.seen("relay.leaseAcquired", { after: relay.events.length });
        await hasLetters(fixture, "1 dead tooLarge", "2 held -");
        await relay.seen("relay.lookedUp", { when: ({ finished }) => finished > 0 });
        expect(relay.sequences()).toEqual([]);
      });
    });

    describe("decided dead letters", () => {
      it("go after their time, and open ones never", async ({ fixture }) => {
        await fixture.append(row("a"), row("b"), row("c"));
        const first = fixture.start({ memory: rejecting(1, 2, 3) });
        await waitUntil(async () => (await fixture.letters()).length === 3, { what: "all are dead" });
        await first.stop();
        const decided =
          "update waybill_dead_letter set state = case when sequence < 3 then 'discarded' else 'dead' end, decided_at = case sequence";
        await fixture.run({
          postgres: `${decided} when 1 then clock_timestamp() - interval '31 days' when 2 then clock_timestamp() - interval '29 days' end`,
          mysql: `${decided} when 1 then utc_timestamp(6) - interval 31 day when 2 then utc_timestamp(6) - interval 29 day end`,
        });
        // Upkeep comes every minute; here a minute is short.
        const shortMinutes: Clock = { ...systemClock, setTimer: (ms, callback) => systemClock.setTimer(ms === 60_000 ? 10 : ms, callback) };
        fixture.start({ clock: shortMinutes });
        await hasLetters(fixture, "2 discarded tooLarge", "3 dead tooLarge");
      });
    });

    describe("attempts", () => {
      it("are used up by failures for the message's own sake, and end in a dead letter that tells of them", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", reason: "busy", times: 1_000, when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("k"), row("other"));
        const relay = fixture.start({ memory: transport, attemptsMax: 4, messageBackoff: { firstMs: 1, maxMs: 5 } });
        await hasLetters(fixture, "1 dead attemptsExhausted:busy");
        expect(failing.fired).toBe(4);
        expect(await tries(fixture)).toEqual([[4, false]]);
        expect(relay.sequences()).toEqual([2]);
        expect(relay.eventsOf("relay.retrying").map(({ attempt }) => attempt)).toEqual([1, 2, 3]);
      });

      it("that ended unknown are told: the receiver may have the message", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "unknown", isStored: true, times: 1 });
        transport.inject({ kind: "retry", times: 1_000 });
        await fixture.append(row("k"));
        fixture.start({ memory: transport, attemptsMax: 3, messageBackoff: { firstMs: 1, maxMs: 5 } });
        await waitUntil(async () => (await fixture.letters()).length === 1, { what: "it is dead" });
        expect(await tries(fixture)).toEqual([[3, true]]);
      });

      it("that ended unknown are told of what left in one piece with the first of its key", async ({ fixture }) => {
        const memory = memoryTransport();
        const error = waybillError("WAYBILL_TRANSPORT", "Nobody answered.", { system: "test", reason: "lost", brokerCode: null });
        let calls = 0;
        const transport: Transport = {
          publish(batch, options) {
            calls += 1;
            if (calls === 1) return Promise.resolve(batch.map(() => ({ kind: "unknown", scope: "message", error }) as const));
            return memory.publish(batch, options);
          },
          close: (options) => memory.close(options),
        };
        memory.inject({ kind: "reject", reason: "tooLarge", times: 1_000, when: ({ sequence }) => sequence > 1n });
        await fixture.append(row("k"), row("k"), row("k"));
        fixture.start({ memory, transport, keyPolicy: "skip", messageBackoff: { firstMs: 1, maxMs: 5 } });
        await hasLetters(fixture, "2 dead tooLarge", "3 dead tooLarge");
        expect((await tries(fixture)).map(([, mayBeStored]) => mayBeStored)).toEqual([true, true]);
      });

      it("of a released message are counted anew and added to those before", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "retry", reason: "busy", times: 1_000 });
        await fixture.append(row("k"));
        const relay = fixture.start({ memory: transport, attemptsMax: 2, messageBackoff: { firstMs: 1, maxMs: 5 } });
        await hasLetters(fixture, "1 dead attemptsExhausted:busy");
        await fixture.redrive();
        await waitUntil(() => relay.eventsOf("relay.deadLettered").length === 2, { what: "it was given up again" });
        await hasLetters(fixture, "1 dead attemptsExhausted:busy");
        expect(await fixture.run("select attempts from waybill_dead_letter")).toEqual([{ attempts: 4 }]);
      });
    });
  }),
);
