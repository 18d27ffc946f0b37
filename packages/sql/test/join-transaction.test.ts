import { inspect } from "node:util";
import { isWaybillError } from "@waybill/core";
import { forEachPostgres, type TestDatabase, testDatabase } from "@waybill/testing";
import knex, { type Knex } from "knex";
import pg from "pg";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type KnexTransaction, toTx } from "../src/index.ts";

forEachPostgres((server) =>
  describe(server.name, () => {
    let own: TestDatabase;
    let client: pg.Client;
    let shop: Knex;

    beforeAll(async () => {
      own = await testDatabase({ server: server.name });
      client = new pg.Client(own.url);
      client.on("error", () => undefined);
      await client.connect();
      shop = knex({ client: "pg", connection: own.url, pool: { min: 0, max: 2 } });
      await client.query("create table entry (id text primary key, big bigint, bytes bytea, json text)");
    });
    beforeEach(async () => {
      await client.query("rollback");
      await client.query("truncate entry");
    });
    afterAll(async () => {
      await shop.destroy();
      await client.end();
      await own.drop();
    });

    const insert = "insert into entry (id, big, bytes, json) values ($1, $2::bigint, $3, $4)";
    const values = ["a", "9007199254740993", new Uint8Array([0, 255, 1]), '{"a": "?"}'];
    const stored = async () => (await client.query("select id, big, bytes, json from entry order by id")).rows as unknown[];
    const storedRow = { id: "a", big: "9007199254740993", bytes: Buffer.from([0, 255, 1]), json: '{"a": "?"}' };
    const codeOf = async (act: () => unknown): Promise<string> => {
      try {
        await act();
        return "none";
      } catch (error) {
        return isWaybillError(error, "WAYBILL_NOT_IN_TRANSACTION") ? error.facts.handle : isWaybillError(error) ? error.code : "other";
      }
    };

    test("a statement joins the transaction of a pg client: committed with it, rolled back with it", async () => {
      await client.query("begin");
      await toTx(client).query(insert, values);
      await client.query("rollback");
      expect(await stored()).toEqual([]);
      await client.query("begin");
      await toTx(client).query(insert, values);
      await client.query("commit");
      expect(await stored()).toEqual([storedRow]);
    });

    test("a statement joins a client of a pool, too", async () => {
      const pool = new pg.Pool({ connectionString: own.url });
      const lent = await pool.connect();
      await lent.query("begin");
      await toTx(lent).query(insert, values);
      await lent.query("commit");
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
        const rows = await toTx(trx).query(`${insert} returning $1 || '?' as "a?b"`, values);
        expect(rows).toEqual([{ "a?b": "a?" }]);
      });
      expect(await stored()).toEqual([storedRow]);
    });

    test("an explicit knex transaction works, and is refused once it is over", async () => {
      const trx = await shop.transaction();
      const tx = toTx(trx);
      await tx.query(insert, values);
      await trx.commit();
      expect(await codeOf(() => toTx(trx))).toBe("finished");
      expect(await codeOf(() => tx.query(insert, values))).toBe("finished");
      expect(await stored()).toEqual([storedRow]);
    });

    test("a pg client outside a transaction is refused, before and after one", async () => {
      expect(await codeOf(() => toTx(client))).toBe("autocommit");
      await client.query("begin");
      const tx = toTx(client);
      await client.query("commit");
      expect(await codeOf(() => tx.query(insert, values))).toBe("autocommit");
      expect(await stored()).toEqual([]);
    });

    test("a pg client whose BEGIN was not awaited is refused", async () => {
      const beginning = client.query("begin");
      expect(await codeOf(() => toTx(client))).toBe("autocommit");
      await beginning;
    });

    test("a pg client inside a failed transaction is refused as poisoned", async () => {
      await client.query("begin");
      await client.query("select 1/0").catch(() => undefined);
      expect(await codeOf(() => toTx(client).query(insert, values))).toBe("WAYBILL_UNIT_POISONED");
      await client.query("select 1").catch(() => undefined);
      expect(await codeOf(() => toTx(client))).toBe("WAYBILL_UNIT_POISONED");
    });

    test("a knex transaction in which a statement of the application failed is refused as poisoned", async () => {
      const trx = await shop.transaction();
      await trx.raw("select 1/0").catch(() => undefined);
      expect(await codeOf(() => toTx(trx).query(insert, values))).toBe("WAYBILL_UNIT_POISONED");
      await trx.rollback();
    });

    test("a pg client that does not tell its status is taken at its word", async () => {
      const silent = { query: (sql: string, given: unknown[]) => client.query(sql, given) };
      await client.query("begin");
      expect(await toTx(silent).query("select $1::int as one", ["1"])).toEqual([{ one: 1 }]);
    });

    test("after a failed statement of ours that was swallowed, a knex transaction takes no other", async () => {
      const seen: string[] = [];
      await shop
        .transaction(async (trx) => {
          const tx = toTx(trx);
          await tx.query("select 1/0", []).catch(() => undefined);
          seen.push(await codeOf(() => tx.query(insert, values)), await codeOf(() => toTx(trx)));
        })
        .catch(() => undefined);
      expect(seen).toEqual(["WAYBILL_UNIT_POISONED", "WAYBILL_UNIT_POISONED"]);
      expect(await stored()).toEqual([]);
      await shop.transaction(async (trx) => {
        await toTx(trx).query(insert, values);
      });
      expect(await stored()).toEqual([storedRow]);
    });

    test("a value that is none is refused before anything is sent, and the transaction lives on", async () => {
      await shop.transaction(async (trx) => {
        const tx = toTx(trx);
        expect(await codeOf(() => tx.query(insert, ["a", 1n as unknown as string, null, null]))).toBe("WAYBILL_VALUE_INVALID");
        expect(await codeOf(() => tx.query("select $2", ["a"]))).toBe("WAYBILL_VALUE_INVALID");
        await tx.query(insert, values);
      });
      expect(await stored()).toEqual([storedRow]);
    });

    test.each(["pg", "knex"])("an error through %s shows neither statement nor values", async (library) => {
      const repeat = async (handle: pg.Client | KnexTransaction): Promise<unknown> => {
        const tx = toTx(handle);
        const secrets = ["canary-id", "1", new Uint8Array([1]), "canary-json"];
        await tx.query(insert, secrets);
        return tx.query(insert, secrets).catch((error: unknown) => error);
      };
      let error: unknown = null;
      if (library === "pg") {
        await client.query("begin");
        error = await repeat(client);
      } else {
        const trx = await shop.transaction();
        error = await repeat(trx);
        await trx.rollback();
      }
      expect(isWaybillError(error, "WAYBILL_DATABASE") && error.facts.sqlState).toBe("23505");
      expect(inspect(error, { depth: 10, showHidden: true })).not.toContain("canary");
    });
  }),
);
