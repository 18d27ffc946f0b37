import { forEachDatabase, type MemoryTransport, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, type RelayFixture, row, type StartedRelay } from "./relay-fixture.ts";

/** `sequence key` of every copy, by sequence. */
const copies = async (fixture: RelayFixture): Promise<readonly string[]> =>
  (
    await fixture.run({
      postgres: "select sequence, coalesce(key, '-') as key from waybill_spill order by sequence",
      mysql: "select sequence, coalesce(`key`, '-') as `key` from waybill_spill order by sequence",
    })
  ).map(({ sequence, key }) => [String(sequence), String(key)].join(" "));

const areSpilled = (fixture: RelayFixture, count: number): Promise<unknown> =>
  waitUntil(async () => (await copies(fixture)).length === count, { what: `${count} messages are spilled` });

/** A topic that refuses everything until it is healed. */
function deadTopic(topic = "dead"): { readonly transport: MemoryTransport; readonly heal: () => void } {
  const transport = memoryTransport();
  const fault = transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: (message) => message.topic === topic });
  return { transport, heal: () => fault.lift() };
}

const inOrder = (relay: StartedRelay): boolean => [...firstPublications(relay.transport.received).values()].every(isAscending);

const soon = { spillAfterMs: 60 } as const;

await forEachDatabase((server) =>
  describe(`spilling on ${server.name}`, () => {
    const it = itOn(server);

    describe("a topic that has waited for long", () => {
      it("is copied aside, so that the cursor and history go on, and comes back in order before anything newer", async ({ fixture }) => {
        const { transport, heal } = deadTopic();
        await fixture.appendMany(300, "case when n % 3 = 0 then 'alive' else 'dead' end, concat('k', n % 7), concat('{\"n\":', n, '}')");
        const relay = fixture.start({ memory: transport, ...soon });
        await areSpilled(fixture, 200);
        // Nothing of it is left in the cursor: what every subscription has passed may go.
        await fixture.isSaved(300);
        await waitUntil(() => relay.relay.health().lowWaterMark === 301n, { what: "the low-water mark goes on" });
        expect(relay.relay.health()).toMatchObject({ unconfirmed: 0, oldestUnpublishedMs: 0, spilledTopics: ["dead"] });
        // Newer ones follow, at once: their topic has waited for long already.
        await fixture.append(row("k1", "{}", "dead"), row("new", "{}", "dead"), row(null, "{}", "dead"), row("k1", "{}", "alive"));
        await areSpilled(fixture, 203);
        await fixture.isSaved(304);
        heal();
        await relay.hasPublished(304);
        await areSpilled(fixture, 0);
        expect(inOrder(relay)).toBe(true);
        expect(new Set(relay.sequences()).size).toBe(304);
        await waitUntil(() => relay.relay.health().spilledTopics.length === 0, { what: "it is known that nothing is left" });
        const lookedUp = relay.eventsOf("relay.lookingUp").length;
        await fixture.append(row("k1", "{}", "dead"));
        await relay.hasPublished(305);
        expect(relay.sequences().at(-1)).toBe(305);
        expect(relay.eventsOf("relay.lookingUp").length).toBe(lookedUp);
      });

      it("comes back as the bytes that went in, whatever was in them, under its id and time", async ({ fixture }) => {
        const { transport, heal } = deadTopic();
        const everyByte = Uint8Array.from({ length: 256 }, (_, byte) => byte);
        const payloads = ["first", everyByte, "", new Uint8Array(0), null, "ü 世界 🚚 \u2028", "z".repeat(300_000)];
        await fixture.append(...payloads.map((payload) => ({ ...row("k", payload, "dead"), headers: '{"x":"y"}' })));
        const stored = await fixture.run("select message_id from waybill_outbox order by id");
        const relay = fixture.start({ memory: transport, ...soon });
        await areSpilled(fixture, payloads.length);
        heal();
        await relay.hasPublished(payloads.length);
        const bytes = (payload: string | Uint8Array | null): string | null =>
          payload === null ? null : Buffer.from(payload).toString("base64");
        expect(transport.received.map(({ payload }) => bytes(payload))).toEqual(payloads.map(bytes));
        expect(transport.received.map(({ id }) => id)).toEqual(stored.map(({ message_id: id }) => id));
        expect(transport.received[0]?.headers).toEqual(new Map([["x", "y"]]));
        expect(Math.abs((transport.received[0]?.createdAtMs ?? 0) - Date.now())).toBeLessThan(60_000);
      });

      it("is found by the next relay, which asks before it publishes anything newer", async ({ fixture }) => {
        const first = deadTopic();
        await fixture.appendMany(120, "'dead', concat('k', n % 5), '{}'");
        const before = fixture.start({ memory: first.transport, ...soon });
        await areSpilled(fixture, 120);
        await before.stop();
        await fixture.appendMany(120, "'dead', concat('k', n % 5), '{}'");
        const after = fixture.start();
        await after.hasPublished(240);
        expect(after.sequences()).toHaveLength(240);
        expect(inOrder(after)).toBe(true);
        await areSpilled(fixture, 0);
        await fixture.isSaved(240);
      });

      it("is looked up by sequence when the cursor was not saved after its copy", async ({ fixture }) => {
        const first = deadTopic();
        await fixture.appendMany(20, "'dead', concat('k', n % 2), '{}'");
        const before = fixture.start({ memory: first.transport, ...soon });
        await areSpilled(fixture, 20);
        await before.stop();
        await fixture.run({
          postgres: "update waybill_subscription set last_id = 0, hole_lo = '{}', hole_hi = '{}'",
          mysql: "update waybill_subscription set last_id = 0, holes = '[]'",
        });
        // Nothing is published before all are looked up: a copy that is gone by then cannot be found, and its row is published once more.
        const second = deadTopic();
        const after = fixture.start({ memory: second.transport });
        const found = (): number => after.eventsOf("relay.lookedUp").reduce((sum, { finished }) => sum + finished, 0);
        await waitUntil(() => found() === 20, { what: "each is known to have a copy" });
        second.heal();
        await after.hasPublished(20);
        await fixture.isSaved(20);
        expect(after.sequences()).toHaveLength(20);
        expect(inOrder(after)).toBe(true);
      });

      it.runIf(process.env["WAYBILL_TEST_ALL"] === "1")(
        "of more than a hundred thousand stops nobody",
        { timeout: 300_000 },
        async ({ fixture }) => {
          const { transport } = deadTopic();
          for (let part = 0; part < 3; part += 1) await fixture.appendMany(40_000, "'dead', null, '{}'");
          await fixture.append(row("k", "{}", "alive"));
          const relay = fixture.start({ memory: transport, spillAfterMs: 1_000, leaseMs: 60_000 });
          await relay.hasPublished(1, 100_000);
          await fixture.append(row("k", "{}", "alive"));
          await relay.hasPublished(2, 60_000);
        },
      );
    });

    describe("a key that has waited for long", () => {
      it("is copied aside alone; its head keeps its attempts, and newer messages of the key follow it", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", times: 1_000_000, when: ({ sequence }) => sequence === 2n });
        await fixture.append(row("k"), row("k"), row("k"), row("other"), row("k"));
        const relay = fixture.start({ memory: transport, ...soon, attemptsMax: 1_000, messageBackoff: { firstMs: 20, maxMs: 40 } });
        await areSpilled(fixture, 3);
        expect(await copies(fixture)).toEqual(["2 k", "3 k", "5 k"]);
        const [copy] = await fixture.run("select attempts from waybill_spill where sequence = 2");
        expect(Number(copy?.attempts)).toBeGreaterThan(0);
        await fixture.isSaved(5);
        await fixture.append(row("k"), row("other"));
        await areSpilled(fixture, 4);
        const attempts = relay.eventsOf("relay.retrying").map(({ attempt }) => attempt);
        expect(isAscending(attempts)).toBe(true);
        failing.lift();
        await relay.hasPublished(7);
        expect(firstPublications(transport.received).get("orders k")).toEqual([1, 2, 3, 5, 6]);
        await areSpilled(fixture, 0);
      });

      it("ends in the dead letters when its attempts are used up, and what is behind it is held, copies first", async ({ fixture }) => {
        const transport = memoryTransport();
        transport.inject({ kind: "retry", times: 1_000_000, when: ({ sequence }) => sequence === 1n });
        await fixture.append(row("k"), row("k"), row("k"));
        const relay = fixture.start({ memory: transport, ...soon, attemptsMax: 25, messageBackoff: { firstMs: 20, maxMs: 40 } });
        await relay.seen("relay.spilled");
        await fixture.append(row("k"));
        const letters = ["1 dead attemptsExhausted:notStored", "2 held -", "3 held -", "4 held -"];
        await waitUntil(async () => (await fixture.letters()).join() === letters.join(), { what: "one is dead, three are held" });
        await areSpilled(fixture, 0);
        const [letter] = await fixture.run("select attempts from waybill_dead_letter where sequence = 1");
        expect(Number(letter?.attempts)).toBe(25);
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(4);
        expect(relay.sequences()).toEqual([1, 2, 3, 4]);
      });

      it("with thousands of copies holds up no other key, and newer ones do not pile up in the cursor", async ({ fixture }) => {
        const transport = memoryTransport();
        const failing = transport.inject({ kind: "retry", times: 1_000_000, when: ({ key }) => key === "k0" });
        await fixture.appendMany(3_000, "'orders', concat('k', n % 2), '{}'");
        const relay = fixture.start({ memory: transport, ...soon, attemptsMax: 100_000, leaseMs: 60_000 });
        await relay.hasPublished(1_500);
        await areSpilled(fixture, 1_500);
        failing.lift();
        await relay.hasPublished(1_600);
        await fixture.appendMany(1_000, "'orders', concat('k', n % 2), '{}'");
        await relay.hasPublished(4_000);
        expect(inOrder(relay)).toBe(true);
        expect(new Set(relay.sequences()).size).toBe(4_000);
        await fixture.isSaved(4_000);
        await areSpilled(fixture, 0);
      });
    });

    it("a key that fails for its own sake does not keep its topic from proving itself", async ({ fixture }) => {
      const transport = memoryTransport();
      transport.inject({ kind: "retry", times: 1_000_000, when: ({ sequence }) => sequence === 1n });
      await fixture.append(row("k"));
      const options = { ...soon, attemptsMax: 1_000_000, messageBackoff: { firstMs: 20, maxMs: 40 } };
      const relay = fixture.start({ memory: transport, ...options });
      await relay.seen("relay.spillRead");
      const failing = transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ sequence }) => sequence > 1n });
      await fixture.append(row("a"), row("b"), row(null));
      await areSpilled(fixture, 4);
      failing.lift();
      await relay.hasPublished(3);
      expect(relay.sequences().toSorted((one, other) => one - other)).toEqual([2, 3, 4]);
    });

    describe("a spilled message", () => {
      it("that is rejected moves to the dead letters, and its copy goes with it", async ({ fixture }) => {
        const { transport, heal } = deadTopic();
        transport.inject({ kind: "reject", reason: "tooLarge", times: 100, when: ({ sequence }) => sequence === 2n || sequence === 4n });
        await fixture.append(...["a", "b", "a", null, "b", "b"].map((key) => row(key, "{}", "dead")));
        const relay = fixture.start({ memory: transport, ...soon });
        await areSpilled(fixture, 6);
        heal();
        const letters = ["2 dead tooLarge", "4 dead tooLarge", "5 held -", "6 held -"];
        await waitUntil(async () => (await fixture.letters()).join() === letters.join(), { what: "two are dead, two are held" });
        await areSpilled(fixture, 0);
        expect(new Set(relay.sequences())).toEqual(new Set([1, 3]));
        transport.heal();
        await fixture.redrive();
        await relay.hasPublished(6);
        expect(inOrder(relay)).toBe(true);
      });

      it("that nobody can read moves to the dead letters", async ({ fixture }) => {
        const { transport, heal } = deadTopic();
        await fixture.append(row("a", "{}", "dead"), row("b", "{}", "dead"), row("a", "{}", "dead"));
        fixture.start({ memory: transport, ...soon });
        await areSpilled(fixture, 3);
        await fixture.run("update waybill_spill set headers = '[' where sequence = 2");
        heal();
        await areSpilled(fixture, 0);
        expect(await fixture.letters()).toEqual(["2 dead malformedHeaders"]);
      });

      it("is not copied while its row was removed by hand: the id is a hole again", async ({ fixture }) => {
        const { transport } = deadTopic();
        await fixture.append(row("a", "{}", "dead"), row("b", "{}", "dead"));
        const relay = fixture.start({ memory: transport, spillAfterMs: 400, holeFenceAfterMs: 50 });
        await relay.seen("relay.parked");
        await fixture.run("delete from waybill_outbox where id = 1");
        expect(await relay.seen("relay.rowMissing")).toMatchObject({ sequence: 1n });
        await areSpilled(fixture, 1);
      });

      it("is written under the fence: a relay that has lost its lease copies nothing any more", async ({ fixture }) => {
        const { transport } = deadTopic();
        const blocker = await fixture.client();
        await fixture.append(row("a", "{}", "dead"));
        const relay = fixture.start({ memory: transport, spillAfterMs: 300, leaseMs: 600_000 });
        await relay.seen("relay.parked");
        await blocker.run("begin");
        await blocker.run("select 1 from waybill_subscription for update");
        await relay.seen("relay.spilling");
        await blocker.run({
          postgres:
            "update waybill_subscription set epoch = epoch + 1, owner = gen_random_uuid(), lease_until = clock_timestamp() + interval '1 hour'",
          mysql: "update waybill_subscription set epoch = epoch + 1, owner = uuid(), lease_until = utc_timestamp(6) + interval 1 hour",
        });
        await blocker.run("commit");
        await relay.seen("relay.leaseLost", { when: ({ reason }) => reason === "fenced" });
        await relay.seen("relay.standby");
        expect(await copies(fixture)).toEqual([]);
      });
    });

    it("two relays that take over from each other lose nothing and keep the order", { timeout: 60_000 }, async ({ fixture }) => {
      let isDead = true;
      const received: { topic: string; key: string | null; sequence: bigint }[] = [];
      const shared = (): MemoryTransport => {
        const transport = memoryTransport({ onReceived: (message) => received.push(message) });
        transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ topic }) => topic === "dead" && isDead });
        return transport;
      };
      const start = (): StartedRelay => fixture.start({ memory: shared(), ...soon });
      let holder = start();
      await holder.seen("relay.leaseAcquired");
      for (let round = 0; round < 6; round += 1) {
        await fixture.appendMany(60, "case when n % 2 = 0 then 'dead' else 'alive' end, concat('k', n % 6), '{}'");
        const next = start();
        isDead = round % 3 !== 2;
        await waitUntil(async () => (await copies(fixture)).length > 0 || !isDead, { what: "something is spilled" });
        await holder.stop();
        await next.seen("relay.leaseAcquired");
        holder = next;
      }
      isDead = false;
      await waitUntil(() => new Set(received.map(({ sequence }) => sequence)).size === 360, {
        what: "all are published",
        deadlineMs: 30_000,
      });
      const seen = new Map<string, bigint[]>();
      for (const { topic, key, sequence } of received) {
        const lane = seen.get(`${topic} ${key}`) ?? [];
        if (!lane.includes(sequence)) lane.push(sequence);
        seen.set(`${topic} ${key}`, lane);
      }
      for (const lane of seen.values()) expect(lane).toEqual([...lane].sort((one, other) => (one < other ? -1 : 1)));
      await areSpilled(fixture, 0);
    });
  }),
);
