import { isWaybillError, systemClock } from "@waybill/core";
import type { OwnedTx } from "@waybill/sql";
import { forEachDatabase, startFaultProxy, type TestDatabaseServer, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { newId } from "./barrier-fixture.ts";
import type { Replica } from "./half-message-fixture.ts";
import { type ProducerFixture, producerFixture, taken } from "./producer-fixture.ts";

/** COMMIT with what stands before it on the wire. */
function commitOn({ dialect, name }: TestDatabaseServer): string {
  if (dialect === "postgres") return "commit\u0000";
  return name.startsWith("mariadb") ? "\u0003commit" : "\u0001commit";
}

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: ProducerFixture;
    let replica: Replica;
    const sql = (text: string): string => (server.dialect === "mysql" ? text.replaceAll(/\$\d+/g, "?") : text);
    const pay = async (tx: OwnedTx, id = "a"): Promise<string> => {
      await tx.query(sql("insert into payment (id) values ($1)"), [id]);
      return `paid ${id}`;
    };
    const failure = async (act: Promise<unknown>): Promise<Error> =>
      act.then(
        () => new Error("it did not fail"),
        (error: Error) => error,
      );
    const codeOf = (error: Error): string => (isWaybillError(error) ? error.code : error.message);
    const deliveries = (): Promise<number> => fixture.service.count("delivery");

    beforeAll(async () => {
      fixture = await producerFixture(server);
      replica = await fixture.replica();
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    test("send commits the business rows and the barrier, and reports: the message is on its way", async () => {
      const { producer } = fixture.producer(replica);
      const sent = await producer.send(taken(), (tx) => pay(tx));
      expect(sent).toEqual({ id: sent.id, value: "paid a", isReported: true });
      expect(await fixture.shop.rows()).toEqual({ [sent.id]: "committed" });
      expect(await fixture.shop.payments()).toBe(1);
      const shown = await fixture.until(replica, sent.id, "committed");
      expect(shown["decidedBy"]).toBe("producer:payments-1");
      expect([await deliveries(), fixture.endpoint.asked]).toEqual([1, []]);
    });

    test("H23 work throws after join: no open transaction, no barrier row, your error, rolled back", async () => {
      const { producer, events } = fixture.producer(replica);
      const mine = new Error("out of stock");
      const error = await failure(
        producer.send(taken(), async (tx) => {
          await pay(tx);
          throw mine;
        }),
      );
      expect(error).toBe(mine);
      expect([await fixture.shop.rows(), await fixture.shop.payments()]).toEqual([{}, 0]);
      const id = events.flatMap((event) => (event.name === "producer.joined" ? [event.messageId] : []))[0] as string;
      const shown = await fixture.until(replica, id, "rolled_back");
      expect([shown["decidedBy"], await deliveries()]).toEqual(["producer:payments-1", 0]);
      const open =
        server.dialect === "postgres"
          ? "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in%'"
          : "select 1 from information_schema.innodb_trx join information_schema.processlist as session on session.id = trx_mysql_thread_id where session.db = database()";
      expect(await fixture.shop.query(open)).toEqual([]);
    });

    test("a prepare that is refused never calls the work: with the reason of the service", async () => {
      const { producer } = fixture.producer(replica);
      let isCalled = false;
      const message = { ...taken(), topic: "nowhere" };
      const error = await failure(producer.send(message, async () => void (isCalled = true)));
      expect(isWaybillError(error, "WAYBILL_PREPARE_FAILED") && error.facts).toMatchObject({
        reason: "topic_not_routed",
        status: 422,
        mayBeStored: false,
      });
      expect(isCalled).toBe(false);
    });

    test("H27 a prepare while the service is down fails within its deadline, and the work is not called", async () => {
      const { producer } = fixture.producer("http://127.0.0.1:9", { prepareDeadlineMs: 400 });
      let isCalled = false;
      const fromMs = performance.now();
      const error = await failure(producer.send(taken(), async () => void (isCalled = true)));
      expect(codeOf(error)).toBe("WAYBILL_PREPARE_FAILED");
      expect(performance.now() - fromMs).toBeLessThan(20_000);
      expect(isCalled).toBe(false);
    });

    test("a prepare whose reply is lost is repeated with the same id, and stored once", async () => {
      const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: replica.ports.public } });
      const { producer, events } = fixture.producer(`http://127.0.0.1:${proxy.port}`);
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", times: 1 });
      const sent = await producer.send(taken(), (tx) => pay(tx));
      expect(fault.fired).toBe(1);
      expect(events.find((event) => event.name === "producer.prepared")).toMatchObject({ attempts: 2, isReplayed: true });
      expect([await fixture.service.count("half_message"), await deliveries()]).toEqual([1, 1]);
      await fixture.until(replica, sent.id, "committed");
      await producer.close();
      await proxy.stop();
    });

    test("H30 a prepare is stored, its reply swallowed, the producer gives up: rolled back, by check-back if its rollback is lost too", async () => {
      const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: replica.ports.public } });
      const { producer } = fixture.producer(`http://127.0.0.1:${proxy.port}`, {
        prepareDeadlineMs: 300,
        callTimeoutMs: 150,
        checkAfterMs: 150,
      });
      const fault = proxy.inject({ kind: "swallowReplies", times: 100 });
      const id = newId();
      const error = await failure(producer.prepare(taken(), { id }));
      expect(codeOf(error)).toBe("WAYBILL_PREPARE_FAILED");
      expect(fault.fired).toBeGreaterThan(0);
      const shown = await fixture.until(replica, id, "rolled_back");
      expect(shown["decidedBy"]).toMatch(/^check:[0-9]+$/);
      expect(await fixture.shop.rows()).toEqual({ [id]: "fenced" });
      await producer.close();
      await proxy.stop();
    });

    test("the service is gone after the local commit: send tells what is committed, and the service hears of it when it is back", async () => {
      const proxy = await startFaultProxy({ target: { host: "127.0.0.1", port: replica.ports.public } });
      const { producer, events } = fixture.producer(`http://127.0.0.1:${proxy.port}`, { callTimeoutMs: 200 });
      const sent = await producer.send(taken(), async (tx) => {
        proxy.inject({ kind: "refuse" });
        proxy.cutAll();
        return pay(tx);
      });
      expect([sent.value, sent.isReported]).toEqual(["paid a", false]);
      proxy.heal();
      const shown = await fixture.until(replica, sent.id, "committed");
      expect(shown["decidedBy"]).toBe("producer:payments-1");
      await waitUntil(() => events.some((event) => event.name === "producer.reported"), { what: "it is reported" });
      await producer.close();
      await proxy.stop();
    });

    test("a service that has lost the prepare gets the whole half message with the commit", async () => {
      const { producer } = fixture.producer(replica);
      const half = await producer.prepare(taken());
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      await half.join(open.handle);
      await open.commit();
      await fixture.clear();
      expect(await half.commit()).toBe(true);
      await fixture.until(replica, half.id, "committed");
      expect(await deliveries()).toBe(1);
    });

    test.each(server.dialect === "postgres" ? (["pg", "knex"] as const) : (["mysql2", "mysql2 with callbacks", "knex"] as const))(
      "your own transaction of %s: prepare, join, your commit, commit; and settle reports what is true",
      async (library) => {
        const { producer } = fixture.producer(replica);
        const half = await producer.prepare([taken("one"), taken("two")]);
        const open = await fixture.shop.begin(library);
        await half.join(open.handle);
        await open.say("insert into payment (id) values ('a')");
        await open.commit();
        expect(await half.commit()).toBe(true);
        await fixture.until(replica, half.id, "committed");
        expect(await deliveries()).toBe(2);

        const rolledBack = await producer.prepare(taken());
        const other = await fixture.shop.begin(library);
        await rolledBack.join(other.handle);
        await other.rollback();
        expect(await rolledBack.settle()).toEqual({ kind: "rolledBack", isReported: true });
        await fixture.until(replica, rolledBack.id, "rolled_back");
        expect((await fixture.shop.rows())[rolledBack.id]).toBe("fenced");

        const forgotten = await producer.prepare(taken());
        const third = await fixture.shop.begin(library);
        await forgotten.join(third.handle);
        await third.commit();
        expect(await forgotten.settle()).toEqual({ kind: "committed", isReported: true });
        await fixture.until(replica, forgotten.id, "committed");
      },
    );

    test("a commit without a join, or after one that failed, is refused: nothing would prove it", async () => {
      const { producer } = fixture.producer(replica);
      const half = await producer.prepare(taken());
      expect(codeOf(await failure(half.commit()))).toBe("WAYBILL_NOT_JOINED");
      await half.settle();
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      expect(codeOf(await failure(half.join(open.handle)))).toBe("WAYBILL_FENCED");
      await open.rollback();
      expect(codeOf(await failure(half.commit()))).toBe("WAYBILL_NOT_JOINED");
    });

    test("a transaction that is still open when settle gives up is undecided, and check-back finds out", async () => {
      const { producer } = fixture.producer(replica, { settleDeadlineMs: 300 });
      const half = await producer.prepare(taken());
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      await half.join(open.handle);
      expect(await half.settle()).toEqual({ kind: "undecided", isReported: false });
      await open.commit();
      await replica.operate(half.id, "check-now");
      const shown = await fixture.until(replica, half.id, "committed");
      expect(shown["decidedBy"]).toMatch(/^check:/);
    });

    test.each(["monotonicMs", "wallMs"] as const)("join is refused maxLocalMs after the prepare, if %s says so", async (which) => {
      let aheadMs = 0;
      const clock = { ...systemClock, [which]: () => systemClock[which]() + aheadMs };
      const { producer } = fixture.producer(replica, { maxLocalMs: 60_000, clock });
      const half = await producer.prepare(taken());
      aheadMs = 60_001;
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      expect(codeOf(await failure(half.join(open.handle)))).toBe("WAYBILL_DEADLINE");
      await open.rollback();
      expect(await half.settle()).toMatchObject({ kind: "rolledBack" });
    });

    test("extend keeps checks away while long work is under way, and says when it cannot", async () => {
      const { producer } = fixture.producer(replica, { checkAfterMs: 1_000 });
      const half = await producer.prepare(taken());
      expect(await half.extend(60_000)).toBe(true);
      const other = await producer.prepare(taken());
      await waitUntil(() => fixture.endpoint.asked.some(({ id }) => id === other.id), { what: "a later one is asked for" });
      expect(fixture.endpoint.asked.map(({ id }) => id)).not.toContain(half.id);
      await half.settle();
      expect(await half.extend(5_000)).toBe(false);
    });

    test.each([
      { at: "beforeReply", what: "when it had committed", is: "committed" },
      { at: "beforeRequest", what: "before it reached the database", is: "rolledBack" },
    ] as const)(
      "H40 the reply to COMMIT is cut $what: send neither rolls back nor guesses, it returns what the barrier says",
      async ({ at, is }) => {
        const { hostname, port } = new URL(fixture.shop.place.url);
        const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
        const { openDatabase } = await import("@waybill/sql");
        const database = openDatabase({ url: proxy.url(fixture.shop.place.url), connections: 1 });
        const { producer, events } = fixture.producer(replica, { database });
        await producer.send(taken(), (tx) => pay(tx, "warm"));
        const fault = proxy.inject({ kind: "cut", at, pattern: commitOn(server), times: 1 });
        const ended = await producer
          .send(taken(), (tx) => pay(tx, "cut"))
          .then(
            ({ value, isReported }) => ({ value, isReported }),
            (error: Error) => codeOf(error),
          );
        expect(fault.fired).toBe(1);
        if (is === "committed") expect(ended).toEqual({ value: "paid cut", isReported: true });
        else expect(ended).toBe("WAYBILL_DATABASE");
        expect(events.some((event) => event.name === "producer.outcomeUnknown")).toBe(true);
        const id = events.flatMap((event) => (event.name === "producer.outcomeUnknown" ? [event.messageId] : []))[0] as string;
        await fixture.until(replica, id, is === "committed" ? "committed" : "rolled_back");
        expect(await fixture.shop.payments()).toBe(is === "committed" ? 2 : 1);
        await producer.close();
        await database.close();
        await proxy.stop();
      },
    );

    test("the COMMIT has no answer and the barrier cannot be asked: WAYBILL_OUTCOME_UNKNOWN with the id, and check-back decides", async () => {
      const { hostname, port } = new URL(fixture.shop.place.url);
      const proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      const { openDatabase } = await import("@waybill/sql");
      const database = openDatabase({ url: proxy.url(fixture.shop.place.url), connections: 1 });
      const lost = fixture.producer(replica, { database, settleDeadlineMs: 300, settleBudgetMs: 150 }).producer;
      await lost.send(taken(), (tx) => pay(tx, "warm"));
      const fault = proxy.inject({ kind: "swallowReplies", pattern: commitOn(server) });
      const sending = lost.send(taken(), (tx) => pay(tx, "lost"), { deadlineMs: 300 });
      const blocked = waitUntil(() => fault.fired > 0, { what: "the COMMIT is swallowed" }).then(() => proxy.inject({ kind: "blackHole" }));
      const error = await failure(sending);
      await blocked;
      const id = isWaybillError(error, "WAYBILL_OUTCOME_UNKNOWN") ? (error.facts.messageId as string) : codeOf(error);
      expect(id).toMatch(/^[0-9a-f-]{36}$/);
      // Another process of the producer answers.
      fixture.producer(replica);
      await replica.operate(id, "check-now");
      const shown = await fixture.until(replica, id, "committed");
      expect(shown["decidedBy"]).toMatch(/^check:/);
      await proxy.stop();
      await lost.close({ deadlineMs: 50 });
      await database.close({ deadlineMs: 50 });
    });

    test("H34 a spent id again is refused; a second send under an id of yours never rolls back what the first committed", async () => {
      const { producer } = fixture.producer(replica);
      const id = newId();
      await producer.send(taken(), (tx) => pay(tx), { id });
      expect(codeOf(await failure(producer.send(taken(), (tx) => pay(tx, "b"), { id })))).toBe("WAYBILL_PREPARE_FAILED");
      expect((await producer.send(taken(), (tx) => pay(tx, "c"))).isReported).toBe(true);

      // The first one's commit is not reported yet: the prepare is accepted again, the barrier is not.
      const twice = newId();
      const half = await producer.prepare(taken(), { id: twice });
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      await half.join(open.handle);
      await open.commit();
      expect(codeOf(await failure(producer.send(taken(), (tx) => pay(tx, "d"), { id: twice })))).toBe("WAYBILL_FENCED");
      expect((await replica.show(twice)).body["state"]).toBe("prepared");
      expect(await half.commit()).toBe(true);
      await fixture.until(replica, twice, "committed");
    });

    test("two sends at once under one id of yours: one commits, the other is fenced off, and the message is committed", async () => {
      const { producer } = fixture.producer(replica);
      for (let round = 0; round < 5; round++) {
        const id = newId();
        const ends = await Promise.all(
          [1, 2].map((n) =>
            producer
              .send(
                taken(),
                async (tx) => {
                  if (n === 1 && round % 2 === 0) throw new Error("not this one");
                  return pay(tx, `${round}-${n}`);
                },
                { id },
              )
              .then(() => "sent", codeOf),
          ),
        );
        const sent = ends.filter((end) => end === "sent").length;
        expect(sent).toBeLessThanOrEqual(1);
        await half(id, sent === 1 ? "committed" : "rolled_back");
      }
      async function half(id: string, state: string): Promise<void> {
        await fixture.until(replica, id, state);
      }
    });

    test("a conflict is told: the service was forced the other way", async () => {
      const { producer, events } = fixture.producer(replica);
      const half = await producer.prepare(taken());
      const open = await fixture.shop.begin(server.dialect === "postgres" ? "pg" : "mysql2");
      await half.join(open.handle);
      await open.commit();
      expect((await replica.operate(half.id, "force-rollback")).status).toBe(200);
      expect(await half.commit()).toBe(false);
      expect(events.at(-1)).toMatchObject({ name: "producer.decisionConflicted", messageId: half.id });
      expect(await deliveries()).toBe(0);
    });
  }),
);
