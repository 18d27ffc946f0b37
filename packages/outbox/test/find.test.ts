import { catalogue, type Message, message, newMessageId } from "@waybill/core";
import { namespace, tableOf } from "@waybill/sql";
import { forEachPostgres } from "@waybill/testing";
import type pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { append, createOutbox, type Reader } from "../src/index.ts";
import { findIdAtTime } from "../src/postgres/statements/find-id-at-time.ts";
import { type OutboxFixture, outboxFixture } from "./outbox-fixture.ts";

const shop = catalogue({ source: "/order-service", note: message<{ n: number }>({ type: "shop.note.v1", topic: "notes" }) });
const note = (n: number, id?: string): Message => shop.note({ n }, id === undefined ? {} : { id });
const { find } = createOutbox();
const ownId = "00000000-0000-4000-8000-000000000001";

forEachPostgres((server) =>
  describe(`asking whether a message was appended, on ${server.name}`, () => {
    let fixture: OutboxFixture;
    let client: pg.Client;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
    });
    afterAll(() => fixture.drop());
    beforeEach(async () => {
      await fixture.clear();
      client = await fixture.client();
    });

    /** Lets something happen right after the first statement that searched the ledger in vain. */
    const after = (statement: string, happens: () => Promise<unknown>): Reader => {
      let isDone = false;
      return {
        query: async (sql, values) => {
          const rows = await fixture.database.query(sql, values);
          if (!isDone && sql.includes(statement)) {
            isDone = true;
            await happens();
          }
          return rows;
        },
      };
    };

    it("a committed message is found, a rolled-back one is not, by made and by own ids", async () => {
      await client.query("begin");
      const kept = await append(client, note(1), note(2, ownId));
      await client.query("commit");
      await client.query("begin");
      const gone = await append(client, note(3));
      await client.query("rollback");
      expect(await Promise.all(kept.map((id) => find(fixture.database, id)))).toEqual(["appended", "appended"]);
      expect(await find(fixture.database, gone[0] as string)).toBe("notAppended");
      expect(await find(fixture.database, newMessageId())).toBe("notAppended");
      expect(await find(fixture.database, "00000000-0000-4000-8000-00000000000f")).toBe("notAppended");
    });

    it("while the transaction is open the answer is: undecided", async () => {
      await client.query("begin");
      const [id] = (await append(client, note(1))) as [string];
      expect(await find(fixture.database, id, { deadlineMs: 100 })).toBe("undecided");
      await client.query("commit");
      expect(await find(fixture.database, id)).toBe("appended");
    });

    it.each(["commit", "rollback"] as const)("a transaction that ends while we ask is waited for, and its end told: %s", async (end) => {
      await client.query("begin");
      const [id] = (await append(client, note(1))) as [string];
      const reader = after("pg_locks", () => client.query(end));
      expect(await find(reader, id)).toBe(end === "commit" ? "appended" : "notAppended");
    });

    it("a commit right after the search came up empty is found", async () => {
      await client.query("begin");
      const [id] = (await append(client, note(1))) as [string];
      expect(
        await find(
          after("message_id = $1", () => client.query("commit")),
          id,
        ),
      ).toBe("appended");
    });

    it("other writers that come and go do not keep the answer away", async () => {
      await client.query("begin");
      const [id] = (await append(client, note(1))) as [string];
      await client.query("rollback");
      const others = [await fixture.client(), await fixture.client()];
      let turn = 0;
      const reader: Reader = {
        query: async (sql, values) => {
          const [current, next] = [others[turn % 2] as pg.Client, others[(turn + 1) % 2] as pg.Client];
          if (sql.includes("pg_locks")) {
            await next.query("begin");
            await append(next, note(turn));
            if (turn > 0) await current.query("commit");
            turn += 1;
          }
          return fixture.database.query(sql, values);
        },
      };
      expect(await find(reader, id)).toBe("notAppended");
      expect(turn).toBeLessThan(5);
      for (const other of others) await other.query("rollback");
    });

    it("the clocks may differ by the margin, and no more", async () => {
      const early = `${(Date.now() - 300_000)
        .toString(16)
        .padStart(12, "0")
        .replace(/^(.{8})(.{4})$/, "$1-$2")}-7000-8000-000000000001`;
      await fixture.run("insert into waybill_outbox (message_id, type, topic) values ($1, 't', 'notes')", [early]);
      expect(await find(fixture.database, early)).toBe("appended");
      expect(await find(fixture.database, early, { marginMs: 60_000 })).toBe("notAppended");
    });

    it("a time is found by searching the ids, whatever holes there are", async () => {
      const outbox = tableOf(namespace("postgres"), "outbox");
      const idAt = async (timeMs: number): Promise<unknown> => (await fixture.run(findIdAtTime(outbox), [String(timeMs)]))[0]?.["id"];
      expect(await idAt(0)).toBeNull();
      await fixture.run(
        `insert into waybill_outbox (id, created_at, type, topic) overriding system value
         select n * n, to_timestamp(1000 + n), 't', 'notes' from generate_series(1, 2000) n`,
      );
      expect(await idAt(0)).toBe("1");
      for (const n of [2, 3, 500, 1_001, 2_000]) {
        // The first id that is not below: anything behind the row before and up to the row itself leads to the same rows.
        const id = BigInt((await idAt((1_000 + n) * 1_000)) as string);
        expect(id > BigInt((n - 1) ** 2) && id <= BigInt(n ** 2)).toBe(true);
      }
      expect(await idAt(9_999_999_000)).toBe("4000001");
    });

    it("what is no UUID is refused", async () => {
      await expect(find(fixture.database, "order-1")).rejects.toMatchObject({ code: "WAYBILL_MESSAGE_INVALID" });
    });
  }),
);
