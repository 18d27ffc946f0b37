import { systemClock, wait } from "@waybill/core";
import { type Database, type OwnedTx, openDatabase } from "@waybill/sql";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import type { Claim, ClaimedDelivery, DeliveryResult } from "../src/delivery-store.ts";
import { type DeliveryFixture, deliveryFixture, usualPolicy } from "./delivery-fixture.ts";

const claimed = { destination: "kafka", limit: 10, leaseMs: 30_000, heldMs: 60_000 } as const;

function result(delivery: ClaimedDelivery, next: DeliveryResult["next"]): DeliveryResult {
  const outcome = next.kind === "acked" ? "confirmed" : "retry";
  return { delivery, next, outcome, error: null, status: null, isLogged: next.kind !== "acked", beganAgoMs: 1, tookMs: 1 };
}
const acked = (delivery: ClaimedDelivery): DeliveryResult => result(delivery, { kind: "acked" });
const again = (delivery: ClaimedDelivery, afterMs: number, isCharged = true): DeliveryResult =>
  result(delivery, { kind: "again", afterMs, isCharged, holdsLane: true });
const ids = ({ deliveries }: Claim): readonly string[] => deliveries.map(({ messageId }) => messageId);

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: DeliveryFixture;
    beforeAll(async () => {
      fixture = await deliveryFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    const claim = (options: { readonly leaseMs?: number } = {}): Promise<Claim> =>
      fixture.store.claim(fixture.database, { ...claimed, ...options });
    const record = (taken: Claim, results: readonly DeliveryResult[]) => fixture.store.record(fixture.database, taken, results);
    const due = (afterMs = 0): Promise<boolean> =>
      fixture.store.due(fixture.database).then((all) => all.some((one) => one.destination === "kafka" && one.afterMs <= afterMs));
    const now = server.dialect === "mysql" ? "utc_timestamp(6)" : "now()";
    /** Lanes that are due, and messages without one. */
    const dueCount = async (): Promise<number> => {
      const counts = ["delivery_lane", "delivery"].map((table) =>
        fixture.query(`select count(*) as n from waybill_${table} where due_at <= ${now}`),
      );
      return (await Promise.all(counts)).reduce((sum, [row]) => sum + Number(row?.["n"]), 0);
    };
    const lanes = () => fixture.query("select lane, failures from waybill_delivery_lane order by lane");

    test("a claim takes one message of each key, and those without a key, with all that is published", async () => {
      await fixture.commit([
        { id: "a1", key: "a", headers: { tenant: "t" }, payload: "grüße" },
        { id: "a2", key: "a" },
        { id: "b1", key: "b" },
        { id: "n1" },
        { id: "n2" },
      ]);
      const first = await claim();
      expect(ids(first).toSorted()).toEqual(["a1", "b1", "n1", "n2"]);
      expect(first.deliveries.find(({ messageId }) => messageId === "a1")).toMatchObject({
        producer: "payments",
        halfMessageId: "a1",
        destination: "kafka",
        lane: "a",
        attempt: 1,
        redeliveries: 0,
        ackMode: "implicit",
        isRedelivery: false,
        type: "t.v1",
        topic: "orders",
        key: "a",
        headers: { tenant: "t" },
        payload: Buffer.from("grüße"),
      });
      expect(first.deliveries.every(({ deliveryId }) => /^[0-9]+-[0-9a-f]{16}$/.test(deliveryId))).toBe(true);
      expect(ids(await claim())).toEqual([]);

      await record(first, first.deliveries.map(acked));
      const second = await claim();
      expect(ids(second)).toEqual(["a2"]);
      await record(second, second.deliveries.map(acked));
      expect(await lanes()).toEqual([]);
      expect(await due(1e9)).toBe(false);
      const states = await fixture.query("select state, attempts, acked_by from waybill_delivery");
      expect(new Set(states.map(({ state, attempts, acked_by: by }) => [state, attempts, by].join(" ")))).toEqual(
        new Set(["acked 1 transport"]),
      );
    });

    test("a blocked key holds its own messages only, and its first one comes first again", async () => {
      await fixture.commit([
        { id: "a1", key: "a" },
        { id: "a2", key: "a" },
        { id: "b1", key: "b" },
        { id: "b2", key: "b" },
      ]);
      const first = await claim();
      await record(
        first,
        first.deliveries.map((delivery) => (delivery.lane === "a" ? again(delivery, 3_600_000) : acked(delivery))),
      );
      const second = await claim();
      expect(ids(second)).toEqual(["b2"]);
      await record(second, second.deliveries.map(acked));
      await fixture.commit([{ id: "a3", key: "a" }]); // a decision does not unblock
      expect(ids(await claim())).toEqual([]);
      await fixture.query(`update waybill_delivery_lane set due_at = ${now}, blocked_until = ${now}`);
      const third = await claim();
      expect(third.deliveries.map(({ messageId, attempt }) => [messageId, attempt])).toEqual([["a1", 2]]);
      expect(await fixture.query("select attempt, outcome from waybill_delivery_attempt")).toMatchObject([
        { attempt: 1, outcome: "retry" },
      ]);
    });

    test("an attempt that is charged to nobody is given back", async () => {
      await fixture.commit([{ id: "a1", key: "a" }, { id: "n1" }]);
      for (let round = 0; round < 3; round += 1) {
        const taken = await claim();
        expect(taken.deliveries.map(({ attempt }) => attempt)).toEqual([1, 1]);
        await record(
          taken,
          taken.deliveries.map((delivery) => again(delivery, 0, false)),
        );
      }
      expect((await claim()).deliveries.map(({ attempt }) => attempt)).toEqual([1, 1]);
    });

    test("a delayed message lets the later ones of its key go first, and goes when its time has come", async () => {
      await fixture.commit([
        { id: "late", key: "a", delayMs: 3_600_000 },
        { id: "alone", delayMs: 3_600_000 },
      ]);
      expect(ids(await claim())).toEqual([]);
      await fixture.commit([{ id: "soon", key: "a" }]);
      const first = await claim();
      expect(ids(first)).toEqual(["soon"]);
      await record(first, first.deliveries.map(acked));
      expect(ids(await claim())).toEqual([]);
      await fixture.query(`update waybill_delivery_lane set due_at = ${now}`);
      await fixture.query(`update waybill_delivery set not_before = ${now} where open_lane is not null`);
      await fixture.query(`update waybill_delivery set due_at = ${now} where due_at is not null`);
      const later = await claim();
      expect(ids(later).toSorted()).toEqual(["alone", "late"]);
    });

    test("what a lost lease's holder records changes nothing, but that a message was confirmed is noted", async () => {
      await fixture.commit([{ id: "a1", key: "a" }, { id: "b1", key: "b" }, { id: "n1" }, { id: "n2" }]);
      // Longer than the slowest machine needs for a claim, which must not meet the end of its own lease.
      const old = await claim({ leaseMs: 1_000 });
      await waitUntil(async () => (await dueCount()) === 4, { what: "all leases ended" });
      const taken = await claim();
      expect(taken.deliveries.map(({ attempt }) => attempt)).toEqual([2, 2, 2, 2]);
      const confirmed = new Set(["a1", "n1"]);
      const late = await record(
        old,
        old.deliveries.map((delivery) => (confirmed.has(delivery.messageId) ? acked(delivery) : again(delivery, 0))),
      );
      expect(late.written.size).toBe(0);
      const states = await fixture.query("select message_id, state, attempts from waybill_delivery order by message_id");
      expect(states.map(({ message_id: id, state, attempts }) => [id, state, attempts].join(" "))).toEqual([
        "a1 acked 2",
        "b1 pending 2",
        "n1 acked 2",
        "n2 pending 2",
      ]);
      const recorded = await record(
        taken,
        taken.deliveries.map((delivery) => again(delivery, 0)),
      );
      expect(recorded.written.size).toBe(2);
      expect((await lanes()).map(({ lane }) => lane)).toEqual(["b"]);
    });

    test.each([
      { keyOrder: "publish", holdsLane: false, next: ["a1", "a2"] },
      { keyOrder: "ack", holdsLane: true, next: ["a1"] },
    ])("keyOrder $keyOrder: with a redelivery goes $next", async ({ holdsLane, next }) => {
      await fixture.commit([
        { id: "a1", key: "a" },
        { id: "a2", key: "a" },
      ]);
      const first = await claim();
      expect(ids(first)).toEqual(["a1"]);
      await record(
        first,
        first.deliveries.map((delivery) => result(delivery, { kind: "awaitAck", deadlineMs: 0, holdsLane })),
      );
      const second = await claim();
      expect(ids(second).toSorted()).toEqual(next);
      expect(second.deliveries.find(({ messageId }) => messageId === "a1")).toMatchObject({ isRedelivery: true, redeliveries: 1 });
    });

    test("without an order the messages of a key go at once", async () => {
      fixture.policies.set("kafka", { ...usualPolicy, ordering: "none" });
      await fixture.commit([
        { id: "a1", key: "a" },
        { id: "a2", key: "a" },
      ]);
      fixture.policies.set("kafka", usualPolicy);
      expect(ids(await claim()).toSorted()).toEqual(["a1", "a2"]);
    });

    test("the messages of a claim are not too large together, and what is left is due at once and not counted", async () => {
      const payload = "x".repeat(6 * 1_048_576);
      for (const message of [{ id: "a1", key: "a" }, { id: "n1" }, { id: "b1", key: "b" }, { id: "n2" }])
        await fixture.commit([{ ...message, payload }]);
      const first = await claim();
      expect([ids(first), first.isFull]).toEqual([["a1", "n1"], true]);
      const second = await claim();
      expect(ids(second)).toEqual(["b1", "n2"]);
      expect([...first.deliveries, ...second.deliveries].map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1]);
      for (const each of [first, second]) await record(each, each.deliveries.map(acked));
      expect(await lanes()).toEqual([]);
    });

    test("a dead message frees its key, and who listens writes in the same transaction", async () => {
      await fixture.commit([
        { id: "a1", key: "a" },
        { id: "a2", key: "a" },
      ]);
      const taken = await claim();
      const told: string[] = [];
      const { dead } = await fixture.store.record(
        fixture.database,
        taken,
        taken.deliveries.map((delivery) => result(delivery, { kind: "dead", reason: "rejected" })),
        async (_tx, gone) => void told.push(...gone.map(({ messageId }) => messageId)),
      );
      expect(dead.map(({ messageId }) => messageId)).toEqual(["a1"]);
      expect(told).toEqual(["a1"]);
      expect(await fixture.query("select state, dead_reason from waybill_delivery where message_id = 'a1'")).toMatchObject([
        { state: "dead", dead_reason: "rejected" },
      ]);
      expect(ids(await claim())).toEqual(["a2"]);
    });

    test("messages in the order of their prepares wait for an earlier one, and go in that order", async () => {
      await fixture.prepare({ id: "first", key: "a", orderKey: "a" });
      await fixture.commit([{ id: "second", key: "a", orderKey: "a" }]);
      expect(ids(await claim())).toEqual([]);
      expect(await due(1_000)).toBe(false);
      expect(await due(60_000)).toBe(true);
      await fixture.query(
        `update waybill_half_message
         set state = 'committed', order_open = null, decided_at = ${now}, decided_by = 'x', purge_at = ${now}, check_at = null, suspend_at = null
         where id = 'first'`,
      );
      const destinations = ["kafka"];
      await fixture.database.unitOfWork(
        (tx) =>
          fixture.store.insert(tx, [
            { producer: "payments", id: "first", ordinal: 0, messageId: "first", key: "a", businessKey: null, delayMs: 0, destinations },
          ]),
        { operation: "decide" },
      );
      const order: string[] = [];
      for (let round = 0; round < 2; round += 1) {
        const taken = await claim();
        order.push(...ids(taken));
        await record(taken, taken.deliveries.map(acked));
      }
      expect(order).toEqual(["first", "second"]);
    });

    test.runIf(server.dialect === "postgres")(
      "what records reads what it takes, also by plans that were kept from when the table was small",
      async () => {
        // Its statistics would change the plans of what the other tests measure.
        const own = await deliveryFixture(server);
        onTestFinished(() => own.close());
        await own.query("alter table waybill_delivery_lane set (autovacuum_enabled = off)");
        await own.commit(Array.from({ length: 8 }, (_, n) => ({ id: `s${n}`, key: `s${n}` })));
        await own.query("analyze waybill_delivery_lane");
        const read = await own.database.unitOfWork(
          async (tx) => {
            const units = { unitOfWork: async (work: (tx: OwnedTx) => Promise<unknown>) => ({ kind: "committed", value: await work(tx) }) };
            for (let n = 0; n < 8; n += 1) {
              const one = await own.store.claim(units as never, { ...claimed, limit: 2 });
              await own.store.record(
                units as never,
                one,
                one.deliveries.map((each) => again(each, 1)),
              );
              await wait(systemClock, 5);
              await tx.query(
                "update waybill_delivery_lane set due_at = now() - interval '1 second', blocked_until = now() - interval '1 second'",
                [],
              );
            }
            await tx.query(
              "insert into waybill_delivery_lane (destination, lane, due_at) select 'other', 'l' || n, now() from generate_series(1, 100000) n",
              [],
            );
            const sum =
              "select (seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables where relname = 'waybill_delivery_lane'";
            const taken = await own.store.claim(units as never, { ...claimed, limit: 8 });
            const before = Number((await tx.query(sum, []))[0]?.["rows"]);
            await own.store.record(units as never, taken, taken.deliveries.map(acked));
            return { lanes: taken.deliveries.length, rows: Number((await tx.query(sum, []))[0]?.["rows"]) - before };
          },
          { operation: "claim", deadlineMs: 60_000 },
        );
        expect(read).toMatchObject({ kind: "committed", value: { lanes: 8 } });
        expect(read.kind === "committed" && read.value.rows).toBeLessThan(50_000);
      },
    );

    test.runIf(server.dialect === "postgres")(
      "of a table without statistics a claim, and what records it, read what they take, and sort nothing of what is due",
      async () => {
        await fixture.query("alter table waybill_delivery_lane set (autovacuum_enabled = off)");
        for (const table of ["delivery", "delivery_lane"])
          await fixture.query(`alter table waybill_${table} set (autovacuum_enabled = off)`);
        await fixture.commit([{ id: "h", key: "k" }]);
        await fixture.query(
          `insert into waybill_delivery (code, producer, id, ordinal, message_id, destination, ack_mode, lane, open_lane)
         select 1, 'payments', 'h', 0, 'm' || n, 'kafka', 'implicit', 'k' || n, 'k' || n from generate_series(1, 20000) n`,
        );
        await fixture.query(
          "insert into waybill_delivery_lane (destination, lane, due_at) select 'kafka', lane, now() from waybill_delivery where lane <> 'k'",
        );
        const read = await fixture.database.unitOfWork(
          async (tx) => {
            const units = { unitOfWork: async (work: (tx: OwnedTx) => Promise<unknown>) => ({ kind: "committed", value: await work(tx) }) };
            const taken = await fixture.store.claim(units as never, { ...claimed, limit: 100 });
            const results = taken.deliveries.map((delivery, nth) => (nth % 2 === 0 ? acked(delivery) : again(delivery, 1_000)));
            const { written } = await fixture.store.record(units as never, taken, results);
            const sum =
              "select (seq_tup_read + idx_tup_fetch)::integer as rows from pg_stat_xact_user_tables where relname = 'waybill_delivery_lane'";
            return { isFull: taken.isFull, written: written.size, rows: Number((await tx.query(sum, []))[0]?.["rows"]) };
          },
          { operation: "claim" },
        );
        expect(read).toMatchObject({ kind: "committed", value: { isFull: true, written: 100 } });
        expect(read.kind === "committed" && read.value.rows).toBeLessThan(2_000);
      },
    );

    test.runIf(server.dialect === "postgres")("a claim takes no more than its limit, whatever the statistics say", async () => {
      const tables = ["delivery", "delivery_lane"];
      for (const table of tables) await fixture.query(`alter table waybill_${table} set (autovacuum_enabled = off)`);
      for (const table of tables) await fixture.query(`vacuum full waybill_${table}`);
      await fixture.commit([{ id: "a", key: "a" }, { id: "n" }]);
      for (const table of tables) await fixture.query(`analyze waybill_${table}`);
      await fixture.commit(Array.from({ length: 59 }, (_, n) => ({ id: `k${n}`, key: `k${n}` })));
      await fixture.commit(Array.from({ length: 9 }, (_, n) => ({ id: `n${n}` })));
      const claims = await Promise.all(Array.from({ length: 6 }, () => fixture.store.claim(fixture.database, { ...claimed, limit: 1 })));
      expect(claims.map(({ deliveries }) => deliveries.length)).toEqual([1, 1, 1, 1, 1, 1]);
      expect(
        Number((await fixture.query("select count(*) as n from waybill_delivery_lane where lease_token is not null"))[0]?.["n"]),
      ).toBeLessThanOrEqual(6);
    });

    test("lanes that are woken and lanes that are made are locked in one order", async () => {
      await fixture.prepare({ id: "first", key: "a", orderKey: "a" });
      await fixture.commit([
        { id: "a1", key: "a" },
        { id: "b1", key: "b" },
      ]);
      const lock = (lane: string): string => `select lane from waybill_delivery_lane where lane = '${lane}' for update skip locked`;
      const waits =
        server.dialect === "postgres"
          ? "select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
          : "select 1 from information_schema.innodb_trx join information_schema.processlist as session on session.id = trx_mysql_thread_id where session.db = database() and trx_state = 'LOCK WAIT'";
      let deciding: Promise<unknown> = Promise.resolve();
      const message = { producer: "payments", id: "b1", ordinal: 0, messageId: "b2", key: "b", businessKey: null, delayMs: 0 };
      await fixture.database
        .unitOfWork(
          async (tx) => {
            expect(await tx.query(lock("a"), [])).toHaveLength(1);
            deciding = fixture.database.unitOfWork(
              (other) => fixture.store.insert(other, [{ ...message, destinations: ["kafka"] }], [{ producer: "payments", id: "first" }]),
              { operation: "decide" },
            );
            // InnoDB shows its transactions as they were until nobody has looked for 100 ms.
            const what = "the decision waits for the first lane";
            await waitUntil(async () => (await fixture.query(waits)).length > 0, { what, intervalMs: 250 });
            expect(await tx.query(lock("b"), [])).toHaveLength(1);
          },
          { operation: "hold a lane", deadlineMs: 60_000 },
        )
        .then((outcome) => expect(outcome).toMatchObject({ kind: "committed" }));
      expect(await deciding).toMatchObject({ kind: "committed" });
    });

    test("four who decide and three who deliver leave no lane stuck and turn no key's order round", { timeout: 120_000 }, async () => {
      const keys = 6;
      const perDecider = process.env.WAYBILL_TEST_ALL === "1" ? 300 : 60;
      const connections: Database[] = [];
      const open = (): Database => {
        const one = openDatabase({ url: fixture.url, connections: 2 });
        connections.push(one);
        return one;
      };
      /** Message ids of a key, in the order in which their decisions were acknowledged: one decider at a time per key. */
      const decided = new Map<string, string[]>();
      const published = new Map<string, string[]>();
      let deciding = 4;
      const turns = new Map<string, Promise<void>>();
      const decide = async (name: number): Promise<void> => {
        const database = open();
        for (let nth = 0; nth < perDecider; nth += 1) {
          const key = `k${(nth * 7 + name * 3) % keys}`;
          const other = `k${(nth * 7 + name * 3 + 1) % keys}`;
          const pair = [
            { id: `${name}-${nth}-x`, key },
            { id: `${name}-${nth}-y`, key: other },
          ];
          // Decisions of one key that are under way at once have no order; so each key's are made one after the other here, half of the time.
          const isSerial = nth % 2 === 0;
          const before = [key, other].toSorted().map((one) => turns.get(one));
          let done: () => void = () => undefined;
          if (isSerial) {
            const mine = new Promise<void>((resolve) => {
              done = resolve;
            });
            for (const one of [key, other]) turns.set(one, mine);
            await Promise.all(before.map((turn) => turn ?? Promise.resolve()));
          }
          await fixture.commit(pair, database);
          if (isSerial) for (const message of pair) decided.set(message.key, [...(decided.get(message.key) ?? []), message.id]);
          done();
        }
        deciding -= 1;
      };
      const total = 4 * perDecider * 2;
      let count = 0;
      let failed = 0;
      const deliver = async (name: number): Promise<void> => {
        const database = open();
        while (count < total) {
          const taken = await fixture.store.claim(database, { ...claimed, limit: 4 });
          const results = taken.deliveries.map((delivery) => {
            const fails = (Number(delivery.seq) + name) % 11 === 0 && delivery.attempt === 1;
            if (fails) {
              failed += 1;
              return again(delivery, 5);
            }
            const lane = delivery.lane ?? "";
            published.set(lane, [...(published.get(lane) ?? []), delivery.messageId]);
            count += 1;
            return acked(delivery);
          });
          await fixture.store.record(database, taken, results);
          if (results.length === 0) await wait(systemClock, 5);
        }
      };
      try {
        await Promise.all([0, 1, 2, 3].map(decide).concat([0, 1, 2].map(deliver)));
      } finally {
        await Promise.all(connections.map((database) => database.close()));
      }
      expect({ deciding, count }).toEqual({ deciding: 0, count: total });
      expect(failed).toBeGreaterThan(0);
      expect(await lanes()).toEqual([]);
      expect(await fixture.query("select 1 from waybill_delivery where state <> 'acked' or open_lane is not null")).toEqual([]);
      for (const [key, wanted] of decided) {
        const got = (published.get(key) ?? []).filter((id) => wanted.includes(id));
        expect(got, key).toEqual(wanted);
      }
      const seqs = await fixture.query("select lane, message_id from waybill_delivery order by seq");
      for (const key of decided.keys())
        expect(published.get(key), key).toEqual(seqs.filter(({ lane }) => lane === key).map(({ message_id: id }) => id));
    });
  }),
);
