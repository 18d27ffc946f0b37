import { catalogue, message } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { append, confirm } from "@waybill/outbox";
import { namespace } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, type RelayFixture } from "./relay-fixture.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes", key: () => "k" }),
});

await forEachDatabase((server) =>
  describe(`messages that are not confirmed and a relay, on ${server.name}`, () => {
    const it = itOn(server);
    const store = async (fixture: RelayFixture, n: number, withinMs: number | null): Promise<string> => {
      const client = await fixture.client();
      await client.run("begin");
      const asked = withinMs === null ? {} : { confirmBy: ["inventory", "billing"], withinMs };
      const [id] = await append(client.handle, shop.note({ n }), asked);
      await client.run("commit");
      return id ?? "";
    };
    const confirmBoth = async (fixture: RelayFixture, messageId: string): Promise<void> => {
      const client = await fixture.client();
      await client.run("begin");
      for (const consumer of ["inventory", "billing"]) await confirm(client.handle, { messageId, consumer });
      await client.run("commit");
    };

    it("a message is published again, with its id and bytes, until it is confirmed; others are published once", async ({ fixture }) => {
      const started = fixture.start();
      const id = await store(fixture, 1, 1);
      await store(fixture, 2, 3_600_000);
      const of = (messageId: string) => started.transport.received.filter((received) => received.id === messageId);
      await waitUntil(() => of(id).length >= 3, { what: "it was published three times" });
      await confirmBoth(fixture, id);
      const [first, ...others] = of(id);
      for (const other of others) {
        const { sequence, createdAtMs, ...same } = other;
        expect(first).toMatchObject(same);
        expect([sequence > (first?.sequence ?? 0n), createdAtMs >= (first?.createdAtMs ?? 0)]).toEqual([true, true]);
      }
      expect(first?.headers.get("confirm-by")).toBe("inventory,billing");
      expect(started.eventsOf("relay.unconfirmedGivenUp")).toEqual([]);
      const [row] = await fixture.run("select count(*) as count from waybill_confirmation");
      expect(Number(row?.["count"])).toBe(2);
      expect(new Set(started.transport.received.map(({ id: seen }) => seen)).size).toBe(2);
    });

    it("what nobody confirms becomes a dead letter with an alarm, holds up no key, and is published once more when it is redriven", async ({
      fixture,
    }) => {
      const started = fixture.start();
      const id = await store(fixture, 1, 1);
      const given = await started.seen("relay.unconfirmedGivenUp", { deadlineMs: 60_000 });
      expect(given).toMatchObject({ messageId: id, type: "shop.note.v1", topic: "notes" });
      expect([...given.consumers].sort()).toEqual(["billing", "inventory"]);
      const letters = async () => fixture.run("select message_id, state, reason, attempts from waybill_dead_letter");
      const [letter] = await letters();
      expect(letter).toMatchObject({ state: "dead", attempts: 6 });
      expect(String(letter?.["reason"])).toMatch(/^unconfirmed:(inventory,billing|billing,inventory)$/);
      expect(await fixture.run("select 1 as one from waybill_confirmation")).toEqual([]);
      const later = await store(fixture, 2, null);
      await waitUntil(() => started.transport.received.some((received) => received.id === later), { what: "the key goes on" });
      expect(started.transport.received.filter((received) => received.id === id)).toHaveLength(6);
      await started.stop();

      await redriveDeadLetters(fixture.database, namespace(server.dialect), { messageId: id }, { who: "ann", why: null });
      const next = fixture.start();
      await next.seen("relay.unconfirmedRedriven");
      await next.hasPublished(1);
      expect(next.transport.received[0]?.id).toBe(id);
      expect(await letters()).toMatchObject([{ state: "done" }]);
    });

    it("of two messages of one key that were given up the later one can be redriven alone", async ({ fixture }) => {
      const started = fixture.start();
      const first = await store(fixture, 1, 1);
      const second = await store(fixture, 2, 1);
      await waitUntil(() => started.eventsOf("relay.unconfirmedGivenUp").length === 2, { what: "both are given up", deadlineMs: 60_000 });
      await started.stop();
      await redriveDeadLetters(fixture.database, namespace(server.dialect), { messageId: second }, { who: "ann", why: null });
      const next = fixture.start();
      expect((await next.seen("relay.unconfirmedRedriven")).messages).toBe(1);
      await next.hasPublished(1);
      expect(next.transport.received.map(({ id }) => id)).toEqual([second]);
      const dead = await fixture.run("select message_id from waybill_dead_letter where state = 'dead'");
      expect(dead.map((row) => String(row["message_id"]))).toEqual([first]);
    });

    it("a consumer that confirms in a long transaction keeps neither the others' repeats nor delayed messages nor the session waiting", async ({
      fixture,
    }) => {
      const started = fixture.start();
      await started.seen("relay.leaseAcquired");
      const id = await store(fixture, 1, 1);
      const slow = await fixture.client();
      await slow.run("begin");
      expect(await confirm(slow.handle, { messageId: id, consumer: "inventory" })).toBe(true);
      const repeats = (): number => started.transport.received.filter((received) => received.id === id).length;
      const before = repeats();
      await waitUntil(() => repeats() > before + 1, { what: "it is repeated for the other one" });
      const client = await fixture.client();
      await client.run("begin");
      const [delayed] = await append(client.handle, shop.note({ n: 2 }), { delayMs: 1 });
      await client.run("commit");
      await waitUntil(() => started.transport.received.some((received) => received.id === delayed), { what: "the delayed one is there" });
      await started.seen("relay.unconfirmedGivenUp", { deadlineMs: 60_000 });
      expect(started.eventsOf("relay.leaseAcquired")).toHaveLength(1);
      await slow.run("rollback");
    });

    it("two subscriptions repeat side by side: each message for as many of its consumers as each of them has, and none is left out", async ({
      fixture,
    }) => {
      const relays = [fixture.start({ subscription: "one" }), fixture.start({ subscription: "two" })];
      for (const { seen } of relays) await seen("relay.leaseAcquired");
      for (let n = 0; n < 30; n += 1) await store(fixture, n, 3_600_000);
      await fixture.run({
        postgres: "update waybill_confirmation set due_at = clock_timestamp()",
        mysql: "update waybill_confirmation set due_at = utc_timestamp(6)",
      });
      for (const relay of relays) await relay.hasPublished(60);
      const [row] = await fixture.run("select count(*) as count from waybill_outbox where topic = 'notes'");
      const count = Number(row?.["count"]);
      expect([count >= 60, count <= 90]).toEqual([true, true]);
      const repeated = await fixture.run(
        "select message_id from waybill_outbox where topic = 'notes' group by message_id having count(*) > 1",
      );
      expect(repeated).toHaveLength(30);
    });
  }),
);
