/**
 * Links are cut around COMMIT, at one of three places by chance, and nobody hears how the transaction ended. The ledger is asked at once,
 * while the server may still be at it, and its answer compared with what is there in the end; then the whole transaction is
 * repeated with the same id, as a service would.
 *
 *     COMMIT ──┤ cut: surely not done     COMMIT ──▶ ├ cut: done, now or in a moment     COMMIT ──▶ done ──┤ cut: surely done
 */
import { randomUUID } from "node:crypto";
import { catalogue, isWaybillError, message } from "@waybill/core";
import { committedValue, type Database, openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachPostgres, seededRandom, startFaultProxy, waitUntil } from "@waybill/testing";
import knexFactory from "knex";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append, createOutbox } from "../../src/index.ts";
import { type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";

const rounds = process.env["WAYBILL_TEST_ALL"] === "1" ? 200 : 30;
const seed = Number(process.env["WAYBILL_TEST_SEED"] ?? 20_260_101);
const cuts = ["beforeRequest", "afterRequest", "beforeReply"] as const;
const applicationName = "waybill-test-cut";

const shop = catalogue({
  source: "/crash-test",
  placed: message<{ readonly ref: string }>({ type: "test.placed.v1", topic: "orders", key: ({ ref }) => ref }),
  noted: message<{ readonly ref: string }>({ type: "test.noted.v1", topic: "notes" }),
});
const { find } = createOutbox();

/** An order with two messages: one under the order's own id, one whose id `append` makes. */
const messagesOf = (ref: string) => [shop.placed({ ref }, { id: ref }), shop.noted({ ref })] as const;
const insertBusiness = "insert into business (ref) values ($1)";

forEachPostgres((server) =>
  describe(`the reply to COMMIT is lost, on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let proxy: FaultProxy;
    beforeAll(async () => {
      fixture = await outboxFixture(server);
      await fixture.run("create table business (ref uuid primary key)");
      const { hostname, port } = new URL(fixture.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    afterAll(async () => {
      await proxy.stop();
      await fixture.drop();
    });

    /** Places an order through the proxy. Answers what `append` did, and how the transaction ended as far as its caller can tell. */
    type Way = (ref: string) => Promise<{ readonly ids: readonly string[]; readonly said: string }>;

    const byHand: Way = async (ref) => {
      const client = new pg.Client({ connectionString: proxy.url(fixture.url), application_name: applicationName });
      client.on("error", () => undefined); // the statement that is under way rejects
      await client.connect();
      await client.query("begin");
      await client.query(insertBusiness, [ref]);
      const ids = await append(client, ...messagesOf(ref));
      const said = await client.query("commit").then(
        () => "committed",
        () => "lost",
      );
      return { ids, said };
    };

    const unitOfWork: Way = async (ref) => {
      const database: Database = openDatabase({ url: proxy.url(fixture.url), connections: 1, applicationName });
      let ids: readonly string[] = [];
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.query(insertBusiness, [ref]);
          ids = await append(tx, ...messagesOf(ref));
        },
        { operation: "place an order" },
      );
      await database.close();
      let thrown: unknown = null;
      try {
        committedValue("place an order", outcome);
      } catch (error) {
        thrown = error;
      }
      expect(isWaybillError(thrown, "WAYBILL_OUTCOME_UNKNOWN")).toBe(outcome.kind === "unknown");
      return { ids, said: outcome.kind };
    };

    const knexHandler: Way = async (ref) => {
      const connection = { connectionString: proxy.url(fixture.url), application_name: applicationName };
      const knex = knexFactory({ client: "pg", connection, pool: { min: 0, max: 1 } });
      let ids: readonly string[] = [];
      const placing = knex.transaction(async (trx) => {
        await trx("business").insert({ ref });
        ids = await append(trx, ...messagesOf(ref));
      });
      const said = await placing.then(
        () => "committed",
        () => "lost",
      );
      await knex.destroy();
      return { ids, said };
    };

    /** What is there when the server is done with the cut connection: business row, messages, claim. */
    const truthOf = async (ref: string): Promise<readonly number[]> => {
      const sessions = "select 1 from pg_stat_activity where datname = current_database() and application_name = $1 and state <> 'idle'";
      await waitUntil(async () => (await fixture.run(sessions, [applicationName])).length === 0, { what: "the cut session is over" });
      const [counts] = await fixture.run(
        `select (select count(*) from business where ref = $1::text::uuid)::int as business,
                (select count(*) from waybill_outbox where payload::json ->> 'ref' = $1::text)::int as messages,
                (select count(*) from waybill_outbox_id where message_id = $1::text::uuid)::int as claims`,
        [ref],
      );
      return [counts?.["business"], counts?.["messages"], counts?.["claims"]] as number[];
    };

    /** The whole transaction again, with the same own id. */
    const repeat = async (client: pg.Client, ref: string, onRepeatedId: "error" | "ignore"): Promise<void> => {
      await client.query("begin");
      try {
        await client.query(`${insertBusiness} on conflict do nothing`, [ref]);
        await append(client, shop.placed({ ref }, { id: ref }), { onRepeatedId });
        await client.query("commit");
      } catch (error) {
        await client.query("rollback");
        throw error;
      }
    };

    const ways = [
      ["a pg client by hand", byHand, ["lost"], 1],
      ["a unit of work of ours", unitOfWork, ["unknown"], 2],
      ["knex in its handler form", knexHandler, ["lost"], 3],
    ] as const;

    test.each(ways)(
      `%s: the ledger, when asked, tells what is true, and a repetition with the same id adds nothing (seed ${seed})`,
      {
        timeout: rounds * 2_000,
      },
      async (_, way, unknown, place) => {
        const random = seededRandom(seed + place);
        const client = await fixture.client();
        const seen = { appended: 0, notAppended: 0, beforeRequest: 0, afterRequest: 0, beforeReply: 0 };
        for (let round = 0; round < rounds; round += 1) {
          const at = cuts[Math.floor(random.fraction() * cuts.length)] ?? "afterRequest";
          const ref = randomUUID();
          const fault = proxy.inject({ kind: "cut", at, pattern: "commit" });
          const { ids, said } = await way(ref);
          expect(fault.fired).toBe(1);
          fault.lift();
          const answers = await Promise.all(ids.map((id) => find(fixture.database, id)));

          const there = await truthOf(ref);
          const isThere = there[0] === 1;
          expect(there).toEqual(isThere ? [1, 2, 1] : [0, 0, 0]);
          const answer = isThere ? "appended" : "notAppended";
          expect(answers).toEqual([answer, answer]);
          // A unit whose connection was lost before COMMIT could be sent may know that it was rolled back; nothing else is ever known.
          expect(at === "beforeRequest" ? [...unknown, "rolledBack"] : unknown).toContain(said);
          if (at !== "afterRequest") expect(isThere).toBe(at === "beforeReply");
          seen[answer] += 1;
          seen[at] += 1;

          if (isThere) {
            await expect(repeat(client, ref, "error")).rejects.toMatchObject({ code: "WAYBILL_MESSAGE_ID_REPEATED" });
          }
          await repeat(client, ref, "ignore");
          expect(await truthOf(ref)).toEqual(isThere ? [1, 2, 1] : [1, 1, 1]);
          expect(await find(fixture.database, ref)).toBe("appended");
        }
        for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
      },
    );

    test("a COMMIT that is still under way when its link is cut is waited for", async () => {
      const key = 4_711;
      await fixture.run("create table slow (ref uuid)");
      await fixture.run(
        `create function wait_for_the_test() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock(${key}); return null; end $$`,
      );
      await fixture.run(
        `create constraint trigger slow after insert on slow deferrable initially deferred
         for each row execute function wait_for_the_test()`,
      );
      const holder = await fixture.client();
      await holder.query("select pg_advisory_lock($1)", [key]);
      const client = new pg.Client({ connectionString: proxy.url(fixture.url), application_name: applicationName });
      client.on("error", () => undefined);
      await client.connect();
      const ref = randomUUID();
      await client.query("begin");
      await client.query("insert into slow values ($1)", [ref]);
      await client.query(insertBusiness, [ref]);
      const ids = await append(client, ...messagesOf(ref));
      const fault = proxy.inject({ kind: "cut", at: "afterRequest", pattern: "commit" });
      await expect(client.query("commit")).rejects.toThrow();
      expect(fault.fired).toBe(1);
      fault.lift();

      for (const id of ids) expect(await find(fixture.database, id, { deadlineMs: 200 })).toBe("undecided");
      const answers = ids.map((id) => find(fixture.database, id));
      await holder.query("select pg_advisory_unlock($1)", [key]);
      expect(await Promise.all(answers)).toEqual(["appended", "appended"]);
      expect(await truthOf(ref)).toEqual([1, 2, 1]);
    });
  }),
);
