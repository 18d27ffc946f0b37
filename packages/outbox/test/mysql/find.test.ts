import { catalogue, type Message, message, newMessageId } from "@waybill/core";
import type { Connection, Database, SqlValue } from "@waybill/sql";
import { forEachMysql } from "@waybill/testing";
import type { Connection as Client } from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Asked, append, createOutbox } from "../../src/index.ts";
import { type MysqlFixture, mysqlFixture } from "./mysql-fixture.ts";

const shop = catalogue({ source: "/order-service", note: message<{ n: number }>({ type: "shop.note.v1", topic: "notes" }) });
const note = (n: number, id?: string): Message => shop.note({ n }, id === undefined ? {} : { id });
type ConnectOptions = Parameters<Database["connect"]>[0];
const { find } = createOutbox();
const ownId = "00000000-0000-4000-8000-000000000001";

await forEachMysql((server) =>
  describe(`asking whether a message was appended, on ${server.name}`, () => {
    let fixture: MysqlFixture;
    let client: Client;

    beforeAll(async () => {
      fixture = await mysqlFixture(server);
    });
    afterAll(() => fixture.drop());
    beforeEach(async () => {
      await fixture.clear();
      client = await fixture.client();
    });

    /** Lets something happen right before the first statement that asks for what is not committed. */
    const before = (happens: () => Promise<unknown>): Asked => {
      let isDone = false;
      return {
        ...fixture.database,
        connect: async (options: ConnectOptions) => {
          const connection = await fixture.database.connect(options);
          let isDirty = false;
          const interposed: Connection = {
            ...connection,
            execute: (sql, values, settings) => {
              isDirty ||= sql.includes("read uncommitted");
              return connection.execute(sql, values, settings);
            },
            query: async (sql, values, settings) => {
              if (isDirty && !isDone) {
                isDone = true;
                await happens();
              }
              return connection.query(sql, values, settings);
            },
          };
          return interposed;
        },
      };
    };

    it("a committed message is found, a rolled-back one is not, by made and by own ids", async () => {
      await client.beginTransaction();
      const kept = await append(client, note(1), note(2, ownId));
      await client.commit();
      await client.beginTransaction();
      const gone = await append(client, note(3), note(4, "00000000-0000-4000-8000-00000000000f"));
      await client.rollback();
      expect(await Promise.all(kept.map((id) => find(fixture.database, id)))).toEqual(["appended", "appended"]);
      expect(await Promise.all(gone.map((id) => find(fixture.database, id)))).toEqual(["notAppended", "notAppended"]);
      expect(await find(fixture.database, newMessageId())).toBe("notAppended");
    });

    it.each(["made", "own"])(
      "while the transaction is open the answer is: undecided; other open ones do not matter (%s id)",
      async (kind) => {
        const other = await fixture.client();
        await other.beginTransaction();
        await append(other, note(7));
        await client.beginTransaction();
        const [id] = (await append(client, note(1, kind === "own" ? ownId : undefined))) as [string];
        expect(await find(fixture.database, id, { deadlineMs: 100 })).toBe("undecided");
        await client.rollback();
        expect(await find(fixture.database, id, { deadlineMs: 100 })).toBe("notAppended");
        await other.rollback();
      },
    );

    it.each(["commit", "rollback"] as const)("a transaction that ends while we ask is waited for, and its end told: %s", async (end) => {
      await client.beginTransaction();
      const [id] = (await append(client, note(1))) as [string];
      const asking = find(fixture.database, id);
      expect(await find(fixture.database, id, { deadlineMs: 50 })).toBe("undecided");
      await client.query(end);
      expect(await asking).toBe(end === "commit" ? "appended" : "notAppended");
    });

    it.each(["commit", "rollback"] as const)("a %s between the two searches is told as it is", async (end) => {
      await client.beginTransaction();
      const [id] = (await append(client, note(1))) as [string];
      expect(
        await find(
          before(() => client.query(end)),
          id,
        ),
      ).toBe(end === "commit" ? "appended" : "notAppended");
    });

    it("a prepared transaction is open until its decision", async () => {
      const xid = `find-${Math.random().toString(36).slice(2)}`;
      await client.query(`xa start '${xid}'`);
      const [id] = (await append(
        {
          dialect: "mysql",
          query: async (sql: string, values: readonly SqlValue[]) => {
            const [rows] = await client.query(sql, [...values]);
            return Array.isArray(rows) ? (rows as Record<string, unknown>[]) : [];
          },
        },
        note(1),
      )) as [string];
      await client.query(`xa end '${xid}'`);
      await client.query(`xa prepare '${xid}'`);
      expect(await find(fixture.database, id, { deadlineMs: 100 })).toBe("undecided");
      await client.query(`xa commit '${xid}'`);
      expect(await find(fixture.database, id)).toBe("appended");
    });

    it("the clocks may differ by the margin, and no more", async () => {
      const early = `${(Date.now() - 300_000)
        .toString(16)
        .padStart(12, "0")
        .replace(/^(.{8})(.{4})$/, "$1-$2")}-7000-8000-000000000001`;
      await fixture.run("insert into waybill_outbox (message_id, type, topic) values (?, 't', 'notes')", [early]);
      expect(await find(fixture.database, early)).toBe("appended");
      expect(await find(fixture.database, early, { marginMs: 60_000 })).toBe("notAppended");
    });

    it("a row is found by the time in its id among many others, whatever holes there are", async () => {
      const now = Date.now();
      const idOf = (n: number): string =>
        `${(now - 86_400_000 + n * 60_000)
          .toString(16)
          .padStart(12, "0")
          .replace(/^(.{8})(.{4})$/, "$1-$2")}-7000-8000-${String(n).padStart(12, "0")}`;
      const rows = Array.from({ length: 1_000 }, (_, n) => [n * n + 1, idOf(n), new Date(now - 86_400_000 + n * 60_000)]);
      await client.query("insert into waybill_outbox (id, message_id, created_at, type, topic) values ?", [
        rows.map((row) => [...row, "t", "notes"]),
      ]);
      for (const n of [0, 1, 500, 999]) expect(await find(fixture.database, idOf(n), { marginMs: 1_000 })).toBe("appended");
      expect(await find(fixture.database, idOf(1_000), { marginMs: 1_000 })).toBe("notAppended");
    });

    it("what is no UUID, a reader that is no database, and a read-only server are refused", async () => {
      await expect(find(fixture.database, "order-1")).rejects.toMatchObject({ code: "WAYBILL_MESSAGE_INVALID" });
      const reader = { dialect: "mysql", query: fixture.database.query } as never;
      await expect(find(reader, newMessageId())).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      const standby: Asked = {
        ...fixture.database,
        connect: async (options: ConnectOptions) => {
          const connection = await fixture.database.connect(options);
          await connection.execute("set session transaction read only", []);
          return connection;
        },
      };
      await expect(find(standby, newMessageId())).rejects.toMatchObject({ code: "WAYBILL_READ_ONLY" });
    });
  }),
);
