import { inspect } from "node:util";
import { isWaybillError } from "@waybill/core";
import { forEachMysql, type TestDatabase, testDatabase } from "@waybill/testing";
import knex, { type Knex } from "knex";
import callbacks from "mysql2";
import mysql from "mysql2/promise";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type TransactionHandle, toTx } from "../src/index.ts";

await forEachMysql((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let client: mysql.Connection;
    let calledBack: callbacks.Connection;
    let shop: Knex;

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      client = await mysql.createConnection(own.url);
      calledBack = callbacks.createConnection(own.url);
      shop = knex({ client: "mysql2", connection: own.url, pool: { min: 0, max: 2 } });
      await client.query("create table entry (id varchar(40) primary key, big bigint, bytes blob, json text) engine = InnoDB");
    });
    beforeEach(async () => {
      await client.query("rollback");
      await calledBack.promise().query("rollback");
      await client.query("delete from entry");
    });
    afterAll(async () => {
      await shop.destroy();
      await client.end();
      await calledBack.promise().end();
      await own.drop();
    });

    const insert = "insert into entry (id, big, bytes, json) values (?, ?, ?, ?)";
    const values = ["a", "9007199254740993", new Uint8Array([0, 255, 39, 92]), '{"a": "?\\\\\'"}'];
    const stored = async (): Promise<unknown> =>
      (await client.query("select id, cast(big as char) as big, bytes, json from entry order by id"))[0];
    const storedRow = { id: "a", big: "9007199254740993", bytes: Buffer.from([0, 255, 39, 92]), json: values[3] };
    const codeOf = async (act: () => unknown): Promise<string> => {
      try {
        await act();
        return "none";
      } catch (error) {
        return isWaybillError(error, "WAYBILL_NOT_IN_TRANSACTION")
          ? error.facts.handle
          : isWaybillError(error)
            ? error.code
            : String(error);
      }
    };
    /** The two APIs of one driver: a handle, and how its owner speaks over it. */
    const apis = {
      promises: (): [TransactionHandle, (sql: string) => Promise<unknown>] => [client, (sql) => client.query(sql)],
      callbacks: (): [TransactionHandle, (sql: string) => Promise<unknown>] => [calledBack, (sql) => calledBack.promise().query(sql)],
    };
    const each = ["promises", "callbacks"] as const;

    test.each(each)(
      "a statement joins the transaction of a mysql2 connection with %s: committed with it, rolled back with it",
      async (api) => {
        const [handle, say] = apis[api]();
        await say("begin");
        await toTx(handle).query(insert, values);
        await say("rollback");
        expect(await stored()).toEqual([]);
        await say("begin");
        await toTx(handle).query(insert, values);
        await say("commit");
        expect(await stored()).toEqual([storedRow]);
      },
    );

    test("a statement joins a connection of a pool, too, with both APIs", async () => {
      const pool = mysql.createPool(own.url);
      const lent = await pool.getConnection();
      await lent.beginTransaction();
      await toTx(lent).query(insert, values);
      await lent.rollback();
      await lent.beginTransaction();
      await toTx(lent.connection).query(insert, values);
      await lent.commit();
      lent.release();
      expect(await stored()).toEqual([storedRow]);
      await pool.end();
    });

    test("a statement joins a knex transaction: committed with it, rolled back with it", async () => {
      const rolledBack = shop.transaction(async (trx) => {
        await toTx(trx).query(insert, values);
        throw new Error("no");
      });
      await expect(rolledBack).rejects.toThrow("no");
      expect(await stored()).toEqual([]);
      await shop.transaction(async (trx) => {
        const tx = toTx(trx);
        await tx.query(insert, values);
        expect(await tx.query("select big, bytes from entry where id = ?", ["a"])).toEqual([
          { big: "9007199254740993", bytes: storedRow.bytes },
        ]);
      });
      expect(await stored()).toEqual([storedRow]);
    });

    test("an explicit knex transaction works, and is refused once it is over", async () => {
      const trx = await shop.transaction();
      const tx = toTx(trx);
      await tx.query(insert, values);
      await trx.commit();
      await trx.executionPromise;
      expect(await codeOf(() => toTx(trx))).toBe("finished");
      expect(await codeOf(() => tx.query(insert, values))).toBe("finished");
      expect(await stored()).toEqual([storedRow]);
    });

    test.each(each)(
      "a mysql2 connection outside a transaction is refused with %s, before and after one, and nothing is written",
      async (api) => {
        const [handle, say] = apis[api]();
        expect(await codeOf(() => toTx(handle).query(insert, values))).toBe("autocommit");
        await say("begin");
        const tx = toTx(handle);
        await tx.query("select 1", []);
        await say("commit");
        expect(await codeOf(() => tx.query(insert, values))).toBe("autocommit");
        await say("begin");
        await say("create temporary table if not exists aside (id integer)");
        await toTx(handle).query("select 1", []);
        await say("drop table if exists nothing_of_this_name");
        expect(await codeOf(() => toTx(handle).query(insert, values))).toBe("autocommit");
        expect(await stored()).toEqual([]);
      },
    );

    test("with autocommit off a statement begins a transaction, so it may join", async () => {
      await client.query("set autocommit = 0");
      await toTx(client).query(insert, values);
      await client.query("rollback");
      await client.query("set autocommit = 1");
      expect(await stored()).toEqual([]);
    });

    test("rows come parsed as on our own connections, whatever the application has set for its own", async () => {
      const odd = await mysql.createConnection({
        uri: own.url,
        typeCast: () => "cast",
        rowsAsArray: true,
        namedPlaceholders: true,
        dateStrings: false,
      });
      await odd.beginTransaction();
      const rows = await toTx(odd).query(
        "select cast(? as signed) as big, cast('2026-01-02 03:04:05' as datetime) as at, cast(x'00ff' as binary) as bytes",
        ["9007199254740993"],
      );
      expect(rows).toEqual([{ big: "9007199254740993", at: "2026-01-02 03:04:05", bytes: Buffer.from([0, 255]) }]);
      await odd.rollback();
      await odd.end();
    });

    test("a session's sql_mode cannot change what a value means: mysql2 binds it, knex is refused where it would", async () => {
      const hostile = "' , null), ('injected', 1, '', ''); -- \\";
      await client.query("set session sql_mode = 'NO_BACKSLASH_ESCAPES,ANSI_QUOTES'");
      await client.beginTransaction();
      await toTx(client).query(insert, [hostile.slice(0, 40), "1", null, hostile]);
      await client.commit();
      await client.query("set session sql_mode = default");
      const refused = shop.transaction(async (trx) => {
        await trx.raw("set session sql_mode = 'NO_BACKSLASH_ESCAPES'");
        try {
          await toTx(trx).query(insert, ["b", "1", null, hostile]);
        } finally {
          await trx.raw("set session sql_mode = default");
        }
      });
      expect(await codeOf(() => refused)).toBe("WAYBILL_CONFIG_INVALID");
      expect(await stored()).toEqual([{ id: hostile.slice(0, 40), big: "1", bytes: null, json: hostile }]);
    });

    test("text beyond ASCII is never stored as something else: a session that is not utf8mb4 is refused with it", async () => {
      const text = "ü 世界 🚚";
      for (const charset of ["utf8", "latin1"]) {
        const narrow = await mysql.createConnection({
          uri: own.url,
          charset: charset === "utf8" ? "UTF8_GENERAL_CI" : "LATIN1_SWEDISH_CI",
        });
        await narrow.beginTransaction();
        await toTx(narrow).query(insert, ["plain", "1", null, "ascii"]);
        expect(await codeOf(() => toTx(narrow).query(insert, ["b", "1", null, text]))).toBe("WAYBILL_CONFIG_INVALID");
        await narrow.rollback();
        await narrow.end();
        const narrowShop = knex({ client: "mysql2", connection: { uri: own.url, charset }, pool: { min: 0, max: 1 } });
        const refused = narrowShop.transaction(async (trx) => {
          await toTx(trx).query(insert, ["c", "1", null, text]);
        });
        expect(await codeOf(() => refused)).toBe("WAYBILL_CONFIG_INVALID");
        await narrowShop.destroy();
      }
      await client.beginTransaction();
      await toTx(client).query(insert, ["d", "1", null, text]);
      await client.commit();
      await shop.transaction((trx) => toTx(trx).query(insert, ["e", "1", null, text]));
      expect(await stored()).toMatchObject([
        { id: "d", json: text },
        { id: "e", json: text },
      ]);
    });

    test("a value that is none is refused before anything is sent, and the transaction lives on", async () => {
      await shop.transaction(async (trx) => {
        const tx = toTx(trx);
        expect(await codeOf(() => tx.query(insert, ["a", 1n as unknown as string, null, null]))).toBe("WAYBILL_VALUE_INVALID");
        expect(await codeOf(() => tx.query(insert, ["a", { a: 1 } as unknown as string, null, null]))).toBe("WAYBILL_VALUE_INVALID");
        expect(await codeOf(() => tx.query("select ?, ?", ["a"]))).toBe("WAYBILL_VALUE_INVALID");
        await tx.query(insert, values);
      });
      expect(await stored()).toEqual([storedRow]);
    });

    test("after a failed statement of ours the same Tx of a mysql2 connection takes no other", async () => {
      await client.beginTransaction();
      const tx = toTx(client);
      expect(await codeOf(() => tx.query("select nothing from nowhere", []))).toBe("WAYBILL_DATABASE");
      expect(await codeOf(() => tx.query(insert, values))).toBe("WAYBILL_UNIT_POISONED");
      await client.rollback();
    });

    test("a handle that cannot tell the server's status is refused before anything of ours is sent", async () => {
      const sent: string[] = [];
      const mute = {
        query: (sql: string) => Promise.resolve([sent.push(sql), undefined] as const),
        execute: (sql: string) => Promise.resolve([sent.push(sql), undefined] as const),
      };
      expect(await codeOf(() => toTx(mute).query(insert, values))).toBe("unknown");
      expect(sent).toEqual(["do 0"]);
    });

    test.each(["mysql2", "knex"])("an error through %s shows neither statement nor values", async (library) => {
      const secrets = ["canary-id", "1", new Uint8Array([1]), "canary-json"];
      const repeat = async (handle: TransactionHandle): Promise<unknown> => {
        const tx = toTx(handle);
        await tx.query(insert, secrets);
        return tx.query(insert, secrets).catch((error: unknown) => error);
      };
      let error: unknown = null;
      if (library === "mysql2") {
        await client.beginTransaction();
        error = await repeat(client);
        await client.rollback();
      } else {
        const trx = await shop.transaction();
        error = await repeat(trx);
        await trx.rollback();
      }
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts).toMatchObject({ sqlState: "23000", errno: 1062 });
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
    });
  }),
);
