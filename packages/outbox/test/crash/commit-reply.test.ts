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
import { type FaultProxy, forEachMysql, forEachPostgres, seededRandom, startFaultProxy, type TestDatabaseServer } from "@waybill/testing";
import knexFactory from "knex";
import mysql from "mysql2/promise";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { append } from "../../src/index.ts";
import { type CrashPlace, crashPlace, find, writerName } from "./crash-place.ts";

const rounds = process.env["WAYBILL_TEST_ALL"] === "1" ? 200 : 30;
const seed = Number(process.env["WAYBILL_TEST_SEED"] ?? 20_260_101);
const cuts = ["beforeRequest", "afterRequest", "beforeReply"] as const;

const shop = catalogue({
  source: "/crash-test",
  placed: message<{ readonly ref: string }>({ type: "test.placed.v1", topic: "orders", key: ({ ref }) => ref }),
  noted: message<{ readonly ref: string }>({ type: "test.noted.v1", topic: "notes" }),
});
/** An order with two messages: one under the order's own id, one whose id `append` makes. */
const messagesOf = (ref: string) => [shop.placed({ ref }, { id: ref }), shop.noted({ ref })] as const;

/** A connection of the application's, as its driver has it, and what it needs to be used on either database. */
interface Session {
  readonly handle: Parameters<typeof append>[0];
  run(sql: string): Promise<unknown>;
  end(): void;
}

async function openSession(url: string): Promise<Session> {
  if (url.startsWith("postgres")) {
    const client = new pg.Client({ connectionString: url, application_name: writerName });
    client.on("error", () => undefined); // the statement that is under way rejects
    await client.connect();
    return { handle: client, run: (sql) => client.query(sql), end: () => void client.end() };
  }
  const connection = await mysql.createConnection(url);
  connection.on("error", () => undefined); // the statement that is under way rejects
  return { handle: connection, run: (sql) => connection.query(sql), end: () => connection.destroy() };
}

const insertBusiness = (ref: string): string => `insert into business (ref) values ('${ref}')`;

function suite(server: TestDatabaseServer): void {
  describe(`the reply to COMMIT is lost, on ${server.name}`, () => {
    let fixture: CrashPlace;
    let proxy: FaultProxy;
    beforeAll(async () => {
      fixture = await crashPlace(server);
      const { hostname, port } = new URL(fixture.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    afterAll(async () => {
      await proxy.stop();
      await fixture.drop();
    });

    /** Places an order through the proxy, and has the link cut at its COMMIT from when it is the next statement. Answers what `append` did, and how the transaction ended as far as its caller can tell. */
    type Way = (ref: string, cut: () => void) => Promise<{ readonly ids: readonly string[]; readonly said: string }>;

    const byHand: Way = async (ref, cut) => {
      const session = await openSession(proxy.url(fixture.url));
      await session.run("begin");
      await session.run(insertBusiness(ref));
      const ids = await append(session.handle, ...messagesOf(ref));
      cut();
      const said = await session.run("commit").then(
        () => "committed",
        () => "lost",
      );
      return { ids, said };
    };

    const unitOfWork: Way = async (ref, cut) => {
      const database: Database = openDatabase({ url: proxy.url(fixture.url), connections: 1, applicationName: writerName });
      let ids: readonly string[] = [];
      const outcome = await database.unitOfWork(
        async (tx) => {
          await tx.query(insertBusiness(ref), []);
          ids = await append(tx, ...messagesOf(ref));
          cut();
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

    const knexHandler: Way = async (ref, cut) => {
      const url = proxy.url(fixture.url);
      const isPostgres = fixture.dialect === "postgres";
      const connection = isPostgres ? { connectionString: url, application_name: writerName } : url;
      const knex = knexFactory({ client: isPostgres ? "pg" : "mysql2", connection, pool: { min: 0, max: 1 } });
      let ids: readonly string[] = [];
      const placing = knex.transaction(async (trx) => {
        await trx("business").insert({ ref });
        ids = await append(trx, ...messagesOf(ref));
        cut();
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
      await fixture.writersAreGone();
      const [counts] = await fixture.run(
        {
          postgres: `select (select count(*) from business where ref = ?::text::uuid)::int as business,
                            (select count(*) from waybill_outbox where payload::json ->> 'ref' = ?::text)::int as messages,
                            (select count(*) from waybill_outbox_id where message_id = ?::text::uuid)::int as claims`,
          mysql: `select (select count(*) from business where ref = ?) as business,
                         (select count(*) from waybill_outbox where json_unquote(json_extract(payload, '$.ref')) = ?) as messages,
                         (select count(*) from waybill_outbox_id where message_id = ?) as claims`,
        },
        [ref, ref, ref],
      );
      return [counts?.["business"], counts?.["messages"], counts?.["claims"]].map(Number);
    };

    /** The whole transaction again, with the same own id. */
    const repeat = async (session: Session, ref: string, onRepeatedId: "error" | "ignore"): Promise<void> => {
      const orNothing = fixture.dialect === "postgres" ? "on conflict do nothing" : "on duplicate key update ref = business.ref";
      await session.run("begin");
      try {
        await session.run(`${insertBusiness(ref)} ${orNothing}`);
        await append(session.handle, shop.placed({ ref }, { id: ref }), { onRepeatedId });
        await session.run("commit");
      } catch (error) {
        await session.run("rollback");
        throw error;
      }
    };

    const ways = [
      ["a driver's connection by hand", byHand, ["lost"], 1],
      ["a unit of work of ours", unitOfWork, ["unknown"], 2],
      ["knex in its handler form", knexHandler, ["lost"], 3],
    ] as const;

    test.each(ways)(
      `%s: the ledger, when asked, tells what is true, and a repetition with the same id adds nothing (seed ${seed})`,
      {
        timeout: rounds * 4_000,
      },
      async (_, way, unknown, place) => {
        const random = seededRandom(seed + place);
        const session = await openSession(fixture.url);
        const seen = { appended: 0, notAppended: 0, beforeRequest: 0, afterRequest: 0, beforeReply: 0 };
        for (let round = 0; round < rounds; round += 1) {
          const at = cuts[Math.floor(random.fraction() * cuts.length)] ?? "afterRequest";
          const ref = randomUUID();
          const faults: ReturnType<FaultProxy["inject"]>[] = [];
          const { ids, said } = await way(ref, () => faults.push(proxy.inject({ kind: "cut", at, pattern: "commit" })));
          expect(faults.map(({ fired }) => fired)).toEqual([1]);
          for (const fault of faults) fault.lift();
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
            await expect(repeat(session, ref, "error")).rejects.toMatchObject({ code: "WAYBILL_MESSAGE_ID_REPEATED" });
          }
          await repeat(session, ref, "ignore");
          expect(await truthOf(ref)).toEqual(isThere ? [1, 2, 1] : [1, 1, 1]);
          expect(await find(fixture.database, ref)).toBe("appended");
        }
        session.end();
        for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
      },
    );

    // On MySQL no COMMIT can be kept waiting but by a lock on the whole server: see the tests on servers of their own.
    test.runIf(server.dialect === "postgres")("a COMMIT that is still under way when its link is cut is waited for", async () => {
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
      const holder = await openSession(fixture.url);
      await holder.run(`select pg_advisory_lock(${key})`);
      const session = await openSession(proxy.url(fixture.url));
      const ref = randomUUID();
      await session.run("begin");
      await session.run(`insert into slow values ('${ref}')`);
      await session.run(insertBusiness(ref));
      const ids = await append(session.handle, ...messagesOf(ref));
      const fault = proxy.inject({ kind: "cut", at: "afterRequest", pattern: "commit" });
      await expect(session.run("commit")).rejects.toThrow();
      expect(fault.fired).toBe(1);
      fault.lift();

      for (const id of ids) expect(await find(fixture.database, id, { deadlineMs: 200 })).toBe("undecided");
      const answers = ids.map((id) => find(fixture.database, id));
      await holder.run(`select pg_advisory_unlock(${key})`);
      expect(await Promise.all(answers)).toEqual(["appended", "appended"]);
      expect(await truthOf(ref)).toEqual([1, 2, 1]);
      holder.end();
    });
  });
}

forEachPostgres(suite);
await forEachMysql(suite);
