/** Two ledgers in one database, each with its own relay: they share nothing but the tables of subscriptions and dead letters. */
import { catalogue, message } from "@waybill/core";
import { redriveDeadLetters } from "@waybill/dead-letter";
import { createOutbox, createStream, keepPartitions, removeHistory } from "@waybill/outbox";
import { namespace } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { firstPublications, isAscending, itOn, type RelayFixture, type StartedRelay } from "./relay-fixture.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes", key: ({ n }) => `k${n % 9}` }),
});
const names = ["default", "second"] as const;

await forEachDatabase((server) =>
  describe(`two streams and their relays, on ${server.name}`, () => {
    const it = itOn(server);

    const begin = async (fixture: RelayFixture): Promise<void> => {
      await createStream(fixture.database, namespace(fixture.database.dialect), "second", { who: "test" });
    };
    const append = async (
      fixture: RelayFixture,
      numbers: readonly number[],
      options: Parameters<ReturnType<typeof createOutbox>["append"]>[2] = {},
    ): Promise<readonly string[]> => {
      const client = await fixture.client();
      await client.run("begin");
      const messages = numbers.map((n) => shop.note({ n }));
      const ids = await createOutbox({ streams: names }).append(client.handle, messages, { serialiseKey: true, ...options });
      await client.run("commit");
      return ids;
    };
    const published = (relays: readonly StartedRelay[]): readonly string[] =>
      relays.flatMap(({ transport }) => transport.received.map(({ id }) => id));

    it("each publishes its own, delayed ones too, while the other's relay dies and is followed; keys keep their order", {
      timeout: 60_000,
    }, async ({ fixture }) => {
      await begin(fixture);
      const relays = names.map((stream) => fixture.start({ stream }));
      const ids: string[] = [];
      ids.push(
        ...(await append(
          fixture,
          Array.from({ length: 90 }, (_, n) => n),
        )),
      );
      ids.push(
        ...(await append(
          fixture,
          Array.from({ length: 18 }, (_, n) => n),
          { delayMs: 100 },
        )),
      );
      await waitUntil(() => new Set(published(relays)).size === ids.length, { what: "all is published" });
      for (const relay of relays) expect(relay.transport.received.length).toBeGreaterThan(0);
      // What one relay publishes the other never does.
      const [one, two] = relays.map(({ transport }) => new Set(transport.received.map(({ key }) => key))) as [Set<string>, Set<string>];
      expect([...one].filter((key) => two.has(key))).toEqual([]);
      for (const { transport } of relays)
        for (const [, sequences] of firstPublications(transport.received)) expect(isAscending(sequences)).toBe(true);

      // All sessions die at once, as when the database fails: each relay goes on with its own cursor.
      await fixture.endOthers();
      ids.push(
        ...(await append(
          fixture,
          Array.from({ length: 90 }, (_, n) => n),
        )),
      );
      await waitUntil(() => new Set(published(relays)).size === ids.length, { what: "all is published again" });
      expect(new Set(published(relays))).toEqual(new Set(ids));
      const rows = await fixture.run("select stream, last_id from waybill_subscription order by stream");
      expect(rows.map(({ stream }) => stream)).toEqual(["default", "second"]);
    });

    it("dead letters of a stream hold its keys only, and are redriven by its reader's name", async ({ fixture }) => {
      await begin(fixture);
      const memory = memoryTransport();
      const isOfSecond = new Set<string>();
      memory.inject({ kind: "reject", when: ({ key }) => isOfSecond.has(key ?? "") });
      const first = fixture.start({ stream: "default" });
      const second = fixture.start({ stream: "second", memory });
      const ids = await append(
        fixture,
        Array.from({ length: 9 }, (_, n) => n),
      );
      await waitUntil(() => published([first, second]).length === ids.length, { what: "all is published" });
      const [key] = memory.received.map((message) => message.key ?? "");
      isOfSecond.add(key as string);
      const n = Number(key?.slice(1));
      await append(fixture, [n, n + 9, (n + 1) % 9]);
      await second.seen("relay.deadLettered");
      await second.seen("relay.held");
      const letters = await fixture.run("select distinct reader from waybill_dead_letter");
      expect(letters.map(({ reader }) => String(reader))).toEqual(["second/default"]);
      memory.heal();
      const space = namespace(fixture.database.dialect);
      await redriveDeadLetters(fixture.database, space, { origin: "relay", reader: "second/default" }, { who: "test", why: null });
      await waitUntil(() => new Set(published([first, second])).size === ids.length + 3, { what: "they are published after all" });
    });

    it("upkeep of a stream is its own: partitions are made, and history goes below its own mark", async ({ fixture }) => {
      await begin(fixture);
      const space = namespace(fixture.database.dialect);
      const values = "(type, topic) values ('t.v1', 'notes')";
      if (fixture.database.dialect === "postgres") {
        await fixture.run("select setval('waybill_second_outbox_id_seq', 2999990)");
        const kept = await keepPartitions(fixture.database, { space, stream: "second" });
        expect(kept).toEqual({ kind: "kept", made: [3_250_001n, 4_250_001n, 5_250_001n, 6_250_001n] });
        await fixture.run("select setval('waybill_second_outbox_id_seq', 3250005)");
        await fixture.run(`insert into waybill_second_outbox ${values}`);
        expect(await fixture.run("select tableoid::regclass::text as place from waybill_second_outbox")).toEqual([
          { place: "waybill_second_outbox_p3250001" },
        ]);
        return;
      }
      for (const table of ["waybill_outbox", "waybill_second_outbox"]) {
        await fixture.run(`insert into ${table} (type, topic, created_at) values ('t.v1', 'notes', '2020-01-01')`);
        await fixture.run(`insert into ${table} ${values}`);
      }
      expect(await removeHistory(fixture.database, { space, stream: "second", lowWaterMark: () => Promise.resolve(2n) })).toMatchObject({
        rows: 1,
        hindrance: null,
      });
      const counts = await fixture.run(
        "select (select count(*) from waybill_outbox) as ours, (select count(*) from waybill_second_outbox) as second_one",
      );
      expect(Object.values(counts[0] ?? {}).map(Number)).toEqual([2, 1]);
    });
  }),
);
