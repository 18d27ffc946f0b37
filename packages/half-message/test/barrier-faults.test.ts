import { type Database, openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachDatabase, startFaultProxy, type TestDatabaseServer, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type Barrier, createBarrier } from "../src/index.ts";
import { asked, type BarrierFixture, barrierFixture, newId } from "./barrier-fixture.ts";

/** COMMIT with what stands before it on the wire: the sessions' own settings are about commits, too. */
function commitOn({ dialect, name }: TestDatabaseServer): string {
  if (dialect === "postgres") return "commit\u0000";
  return name.startsWith("mariadb") ? "\u0003commit" : "\u0001commit";
}

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: BarrierFixture;
    let proxy: FaultProxy;
    let database: Database;
    let barrier: Barrier;
    let hasty: Barrier;

    beforeAll(async () => {
      fixture = await barrierFixture(server);
      const { hostname, port } = new URL(fixture.place.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
      database = openDatabase({ url: proxy.url(fixture.place.url) });
      barrier = createBarrier({ producer: "payments", database, settleBudgetMs: 5_000 });
      hasty = createBarrier({ producer: "payments", database, settleBudgetMs: 600 });
    });
    afterEach(() => proxy.heal());
    afterAll(async () => {
      await barrier.close();
      await hasty.close();
      await database.close();
      await proxy.stop();
      await fixture.close();
    });

    const settle = async (id: string, by: Barrier = barrier): Promise<string> => {
      const fate = (await by.settle([asked(id)])).fates.get(id);
      return fate?.kind === "pending" ? `pending: ${fate.why}` : String(fate?.kind);
    };

    test.each(["beforeRequest", "afterRequest", "beforeReply"] as const)(
      "a fence whose COMMIT is cut off %s is pending, and the next check reads what became true",
      async (at) => {
        for (let round = 0; round < 10; round++) {
          const id = newId();
          expect(await settle(newId())).toBe("rolledBack");
          const fault = proxy.inject({ kind: "cut", at, pattern: commitOn(server) });
          expect(await settle(id)).toBe("pending: passing");
          expect(fault.fired).toBe(1);
          fault.lift();
          // A COMMIT that is still under way holds its row.
          await waitUntil(async () => (await settle(id)) === "rolledBack", { what: "the fate is known" });
          expect((await fixture.rows())[id]).toBe("fenced");
        }
      },
    );

    test("a database that falls silent is pending within the budget, nothing stays open, and the next check goes over another connection", async () => {
      const id = newId();
      expect(await settle(newId(), hasty)).toBe("rolledBack");
      const fault = proxy.inject({ kind: "swallowReplies", pattern: "waybill_barrier" });
      const fromMs = performance.now();
      expect(await settle(id, hasty)).toBe("pending: passing");
      expect(performance.now() - fromMs).toBeLessThan(15_000); // its own budget is a tenth of that; nobody else's ends before

      fault.lift();
      await waitUntil(async () => (await settle(id)) === "rolledBack", { what: "the fate is known" });
      const open =
        server.dialect === "postgres"
          ? "select 1 from pg_stat_activity where datname = current_database() and state like 'idle in%'"
          : "select 1 from information_schema.innodb_trx join information_schema.processlist as session on session.id = trx_mysql_thread_id where session.db = database()";
      await waitUntil(async () => (await fixture.query(open)).length === 0, { what: "no transaction is open", intervalMs: 250 });
    });

    test("a database that cannot be reached is pending within the budget, and known as soon as it can", async () => {
      const id = newId();
      proxy.inject({ kind: "refuse" });
      proxy.cutAll();
      expect(await settle(id)).toBe("pending: passing");
      proxy.heal();
      expect(await settle(id)).toBe("rolledBack");
    });
  }),
);
