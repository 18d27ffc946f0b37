import { randomUUID } from "node:crypto";
import { isWaybillError } from "@waybill/core";
import { type FaultProxy, forEachDatabase, startFaultProxy, type TestDatabase, testDatabase, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { committedValue, type Database, type Outcome, openDatabase } from "../src/index.ts";
import { wordsOf } from "./dialect-words.ts";

/** Times that each link is cut; all of the campaign with `WAYBILL_TEST_ALL=1`. */
const rounds = process.env.WAYBILL_TEST_ALL === "1" ? 200 : 30;

/** How a link can break around COMMIT, and what a unit of work may say about it. */
const cuts = [
  { at: "beforeRequest", says: ["rolledBack", "unknown"], what: "before COMMIT reached the server" },
  { at: "afterRequest", says: ["unknown"], what: "when COMMIT had just been sent" },
  { at: "beforeReply", says: ["unknown"], what: "when the server had committed and its answer was on the way" },
] as const;

await forEachDatabase((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let proxy: FaultProxy;
    let direct: Database;
    const words = wordsOf(server);
    const onPostgres = test.runIf(server.dialect === "postgres");

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      const { hostname, port } = new URL(own.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      direct = openDatabase({ url: own.url });
      await direct.query("create table entry (id char(36) primary key)", []);
    });
    afterAll(async () => {
      await direct.close();
      await proxy.stop();
      await own.drop();
    });

    /** The truth, asked when nobody is at it any more: a COMMIT that still runs would hold its row's lock. */
    const isThere = async (id: string): Promise<boolean> => {
      const busy = words.activeSessionsOf("cut");
      await waitUntil(async () => (await direct.query(busy, [])).length === 0, { what: "the server is done with the cut connection" });
      return (await direct.query(words.say("select 1 from entry where id = ?"), [id])).length === 1;
    };
    const insertThroughProxy = async (database: Database, id: string): Promise<Outcome<string>> =>
      database.unitOfWork(
        async (tx) => {
          await tx.query(words.say("insert into entry values (?)"), [id]);
          return id;
        },
        { operation: "insert", deadlineMs: 30_000 },
      );

    test.each(cuts)("P6, M6 a link cut $what ends $says, and never says more than is true", async ({ at, says }) => {
      const database = openDatabase({ url: proxy.url(own.url), connections: 1, applicationName: "cut" });
      for (let round = 0; round < rounds; round++) {
        const id = randomUUID();
        const fault = proxy.inject({ kind: "cut", at, pattern: words.commit });
        const outcome = await insertThroughProxy(database, id);
        expect(fault.fired).toBe(1);
        fault.lift();
        expect(says).toContain(outcome.kind);
        const there = await isThere(id);
        if (outcome.kind === "rolledBack" || at === "beforeRequest") expect(there).toBe(false);
        if (at === "beforeReply") expect(there).toBe(true);
      }
      await database.close();
    });

    test("P6, M6 a COMMIT whose answer never comes ends unknown at the unit's deadline", async () => {
      const database = openDatabase({ url: proxy.url(own.url), connections: 1, applicationName: "cut" });
      const id = randomUUID();
      await database.query("select 1", []);
      const fault = proxy.inject({ kind: "swallowReplies", pattern: words.commit });
      const outcome = await database.unitOfWork((tx) => tx.query(words.say("insert into entry values (?)"), [id]), {
        operation: "insert",
        deadlineMs: 300,
      });
      expect(fault.fired).toBe(1);
      fault.lift();
      expect(outcome.kind).toBe("unknown");
      expect(outcome.kind === "unknown" && isWaybillError(outcome.error, "WAYBILL_DEADLINE")).toBe(true);
      expect(await isThere(id)).toBe(true);
      await database.close();
    });

    test("an unknown outcome, taken as an error, says so and keeps its cause", async () => {
      const database = openDatabase({ url: proxy.url(own.url), connections: 1, applicationName: "cut" });
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: words.commit });
      const outcome = await insertThroughProxy(database, randomUUID());
      expect(fault.fired).toBe(1);
      fault.lift();
      let error: unknown = null;
      try {
        committedValue("insert", outcome);
      } catch (thrown) {
        error = thrown;
      }
      expect(isWaybillError(error, "WAYBILL_OUTCOME_UNKNOWN") && error.facts).toEqual({ operation: "insert" });
      expect(isWaybillError((error as Error).cause, "WAYBILL_DATABASE")).toBe(true);
      await database.close();
    });

    test("a link cut inside the work rolls back, whatever the statement did", async () => {
      const database = openDatabase({ url: proxy.url(own.url), connections: 1, applicationName: "cut" });
      const id = randomUUID();
      const fault = proxy.inject({ kind: "cut", at: "beforeReply", pattern: "insert into entry" });
      const outcome = await insertThroughProxy(database, id);
      expect(fault.fired).toBe(1);
      fault.lift();
      expect(outcome.kind).toBe("rolledBack");
      expect(await isThere(id)).toBe(false);
      await database.close();
    });

    onPostgres("a server that shuts the session down while it commits leaves the outcome unknown", async () => {
      const database = openDatabase({ url: own.url, connections: 1, applicationName: "cut" });
      // A deferred trigger that waits: COMMIT is under way for as long as we like.
      await direct.query(
        "create function wait_a_while() returns trigger language plpgsql as $$ begin perform pg_sleep(30); return null; end $$",
        [],
      );
      await direct.query("create table slow (id integer)", []);
      await direct.query(
        "create constraint trigger slow after insert on slow deferrable initially deferred for each row execute function wait_a_while()",
        [],
      );
      const ending = database.unitOfWork((tx) => tx.query("insert into slow values (1)", []), { operation: "insert" });
      const committing = "select pid from pg_stat_activity where application_name = 'cut' and state = 'active' and query = 'commit'";
      const [row] = await waitUntil(async () => ((await direct.query(committing, [])).length > 0 ? direct.query(committing, []) : null), {
        what: "COMMIT is under way",
      });
      await direct.query("select pg_terminate_backend($1)", [row?.["pid"] as number]);
      const outcome = await ending;
      expect(outcome.kind).toBe("unknown");
      await database.close();
    });

    test("an idle connection that died unnoticed costs the unit nothing but time", async () => {
      const database = openDatabase({ url: proxy.url(own.url), connections: 1, connectDeadlineMs: 2_000, applicationName: "cut" });
      await database.query("select 1", []);
      // The link goes silent; new ones work again as soon as it has been noticed.
      const fault = proxy.inject({ kind: "swallowReplies", pattern: "begin" });
      const id = randomUUID();
      const outcome = await insertThroughProxy(database, id);
      expect(fault.fired).toBe(1);
      expect(outcome.kind).toBe("committed");
      expect(await isThere(id)).toBe(true);
      await database.close();
    });
  }),
);
