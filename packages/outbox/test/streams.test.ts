import { cp, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { catalogue, isWaybillError, type Message, message, newMessageId } from "@waybill/core";
import { createTableCopy, migrateUp, namespace, sqlMigrations, tableOf } from "@waybill/sql";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import {
  createDelayedMessages,
  createLedger,
  createOutbox,
  createStream,
  listStreams,
  nothingPassedOver,
  outboxMigrations,
} from "../src/index.ts";
import { type Application, type OutboxDatabase, outboxDatabase } from "./application.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: string; readonly key: string }>({ type: "shop.note.v1", topic: "notes", key: ({ key }) => key }),
  loose: message<{ readonly n: string }>({ type: "shop.loose.v1", topic: "notes" }),
});
const ownId = "00000000-0000-4000-8000-000000000001";
/** Messages without a key are spread by their ids: fixed ones, for of 15 drawn at random none falls to one of three streams once in 150 runs. */
const looseId = (n: number): string => `00000000-0000-4000-8000-${(100 + n).toString().padStart(12, "0")}`;
const who = { who: "test", why: "to see" };

await forEachDatabase((server) =>
  describe(`streams on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    let one: Application;
    beforeAll(async () => {
      outbox = await outboxDatabase(server);
      await migrateUp(outbox.database, outbox.space, [sqlMigrations]);
      one = await outbox.application();
    });
    afterAll(() => outbox.drop());
    beforeEach(() => one.run("rollback"));

    const inTransaction = async <T>(work: () => Promise<T>): Promise<T> => {
      await one.run("begin");
      const worked = await work();
      await one.run("commit");
      return worked;
    };
    /** Tables, columns, indexes and constraints of a ledger, without its name: the same for every stream. */
    const shapeOf = async (table: string): Promise<string> => {
      const rows =
        server.dialect === "postgres"
          ? await outbox.run(
              `select c.relname, a.attname, format_type(a.atttypid, a.atttypmod) as type, a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid) as fallback,
                      c.reloptions::text, pg_get_expr(c.relpartbound, c.oid) as bound,
                      (select string_agg(pg_get_constraintdef(k.oid), ';' order by k.conname) from pg_constraint k where k.conrelid = c.oid) as constraints,
                      (select string_agg(indexdef, ';' order by indexname) from pg_indexes i where i.tablename = c.relname) as indexes
               from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
               where c.relkind in ('r', 'p') and c.relname like ? || '%' order by c.relname, a.attname`,
              [table],
            )
          : await Promise.all(["", "_id", "_delayed"].map(async (end) => (await outbox.run(`show create table ${table}${end}`))[0]));
      return JSON.stringify(rows)
        .replaceAll(table, "waybill_outbox")
        .replaceAll(/AUTO_INCREMENT=\d+ /g, "");
    };

    it("many who create a stream at once make it once, as the first one is, with one line of audit", async () => {
      const made = await Promise.all(Array.from({ length: 4 }, () => createStream(outbox.database, outbox.space, "a", who)));
      expect(made.map(({ isNew }) => isNew).filter(Boolean)).toEqual([true]);
      expect(made[0]?.table).toBe("waybill_a_outbox");
      expect(await listStreams(outbox.database, outbox.space)).toEqual(["a", "default"]);
      expect(await shapeOf("waybill_a_outbox")).toBe(await shapeOf("waybill_outbox"));
      expect(await outbox.run("select who, what, subject, why from waybill_audit")).toEqual([
        { who: "test", what: "stream.create", subject: "stream a", why: "to see" },
      ]);
      for (const grant of made[0]?.grants ?? []) expect(grant).toContain("waybill_a_outbox");
      expect(made[0]?.grants.some((grant) => grant.includes("on waybill_a_outbox_delayed to waybill_relay"))).toBe(true);
    });

    it("a stream of its own has ids, claims, delayed messages and an identity of its own", async () => {
      await createStream(outbox.database, outbox.space, "a", who);
      const a = createOutbox({ stream: "a" });
      const first = createOutbox();
      const note = shop.note({ n: "1", key: "k" }, { id: ownId });
      await inTransaction(async () => {
        await first.append(one.handle, note);
        await a.append(one.handle, note);
        await a.append(one.handle, shop.note({ n: "2", key: "k" }), { delayMs: 0 });
      });
      const connection = await outbox.connect();
      await createDelayedMessages({ space: outbox.space, stream: "a" }).moveDue(connection, { passedOver: nothingPassedOver });
      expect(await outbox.ledger("waybill_a_outbox")).toHaveLength(2);
      expect(await outbox.ledger()).toHaveLength(1);
      const facts = await Promise.all(
        ["a", "default"].map((stream) => createLedger({ space: outbox.space, stream }).facts(connection, { deadlineMs: 5_000 })),
      );
      expect(facts.map(({ highestId, unsafe }) => [highestId, unsafe])).toEqual([
        [2n, null],
        [1n, null],
      ]);
      expect(facts[0]?.ledgerIdentity).not.toBe(facts[1]?.ledgerIdentity);
    });

    it("of several streams a message is given one by its topic and key, always the same; it is found and cancelled wherever it lies", async () => {
      const names = ["default", "a", "b"];
      await createStream(outbox.database, outbox.space, "a", who);
      await createStream(outbox.database, outbox.space, "b", who);
      await outbox.clear();
      for (const table of ["waybill_a_outbox", "waybill_b_outbox"]) await outbox.run(`delete from ${table}`);
      const { append, find, cancel } = createOutbox({ streams: names });
      const messages = Array.from({ length: 40 }, (_, n) => shop.note({ n: `${n}`, key: `k${n % 20}` })) as Message[];
      const ids = await inTransaction(() =>
        append(one.handle, [...messages, ...Array.from({ length: 15 }, (_, n) => shop.loose({ n: `${n}` }, { id: looseId(n) }))]),
      );

      const lock = server.dialect === "mysql" ? "crc32(concat(topic, ' ', `key`)) mod 3" : null;
      const keysOf = new Map<string, Set<string>>();
      for (const [index, table] of ["waybill_outbox", "waybill_a_outbox", "waybill_b_outbox"].entries()) {
        const key = server.dialect === "mysql" ? "`key`" : "key";
        const rows = await outbox.run(`select ${key} as k, ${lock ?? "null"} as place from ${table} where ${key} is not null order by id`);
        keysOf.set(table, new Set(rows.map(({ k }) => String(k))));
        expect(rows.length).toBeGreaterThan(0);
        if (lock !== null) expect(new Set(rows.map(({ place }) => Number(place)))).toEqual(new Set([index])); // anybody can compute it
        const loose = await outbox.run(`select count(*) as count from ${table} where ${key} is null`);
        expect(Number(loose[0]?.["count"])).toBeGreaterThan(0);
      }
      const all = [...keysOf.values()].flatMap((keys) => [...keys]);
      expect(all).toHaveLength(20);
      expect(new Set(all).size).toBe(20);

      for (const id of ids.slice(0, 3)) expect(await find(outbox.database, id)).toBe("appended");
      expect(await find(outbox.database, newMessageId())).toBe("notAppended");
      const delayed = await inTransaction(() => append(one.handle, messages.slice(0, 6), { delayMs: 60_000 }));
      for (const id of delayed) expect(await inTransaction(() => cancel(one.handle, id))).toBe(true);
      for (const id of delayed) expect(await inTransaction(() => cancel(one.handle, id))).toBe(false);
    });

    it("an id of one's own is caught across calls, also without a key, and repeats of a call are named", async () => {
      const { append } = createOutbox({ streams: ["default", "a", "b"] });
      await createStream(outbox.database, outbox.space, "a", who);
      await createStream(outbox.database, outbox.space, "b", who);
      const id = newMessageId();
      await inTransaction(() => append(one.handle, shop.loose({ n: "once" }, { id })));
      await one.run("begin");
      const thrown = await append(one.handle, shop.loose({ n: "once" }, { id })).catch((error: unknown) => error);
      expect(isWaybillError(thrown, "WAYBILL_MESSAGE_ID_REPEATED") && thrown.facts.isSameContent).toBe(true);
    });

    it("a later migration is applied to every stream, and a stream that is made after it has it, too", async () => {
      const own = await outboxDatabase(server);
      await migrateUp(own.database, own.space, [sqlMigrations]);
      await createStream(own.database, own.space, "old", who);
      const folder = await mkdtemp(join(tmpdir(), "waybill-migrations-"));
      await cp(fileURLToPath(outboxMigrations.directory), folder, { recursive: true });
      const number = server.dialect === "postgres" ? "9" : "8";
      const files = await readdir(join(folder, server.dialect));
      const next = String(files.length + 1).padStart(3, "0");
      await writeFile(
        join(folder, server.dialect, `${next}_later.sql`),
        `-- A column of the ledger, and an index of what belongs to it.\nalter table waybill_outbox_delayed add column later int not null default ${number};\n` +
          "create index waybill_outbox_later on waybill_outbox_delayed (later);\n",
      );
      const later = { ...outboxMigrations, directory: pathToFileURL(`${folder}/`) };
      await migrateUp(own.database, own.space, [later]);
      const audit = { who: "test", what: "stream.create", subject: "stream young" };
      await createTableCopy(own.database, own.space, later, "young", { audit });
      await rm(folder, { recursive: true });
      for (const table of ["outbox", "old_outbox", "young_outbox"]) {
        const values = "(due_at, type, topic) values ('2020-01-01', 't', 't')";
        await own.run(`insert into waybill_${table}_delayed ${values}`);
        expect(
          (await own.run(`select later from waybill_${table}_delayed`)).map((row) => String(row["later"])),
          table,
        ).toEqual([number]);
      }
      // This version's files end before that migration: it makes no stream of another version.
      await expect(createStream(own.database, own.space, "new", who)).rejects.toMatchObject({ code: "WAYBILL_SCHEMA_MISMATCH" });
      expect(await listStreams(own.database, own.space)).toEqual(["default", "old", "young"]);
      await own.drop();
    });

    it("names that cannot be are refused, and so is the prefix of another namespace", async () => {
      await expect(createStream(outbox.database, outbox.space, "default", who)).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      await expect(createStream(outbox.database, outbox.space, "no name", who)).rejects.toMatchObject({
        code: "WAYBILL_IDENTIFIER_INVALID",
      });
      await migrateUp(outbox.database, namespace(server.dialect, { prefix: "waybill_shop_" }), [outboxMigrations]);
      await expect(createStream(outbox.database, outbox.space, "shop", who)).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      expect(await outbox.database.query(`select name from ${tableOf(outbox.space, "stream")} where name = 'shop'`, [])).toEqual([]);
      expect(() => createOutbox({ streams: [] })).toThrow(/1 to 64 names/);
      expect(() => createOutbox({ streams: ["a", "a"] })).toThrow(/each name once/);
      expect(() => createOutbox({ stream: "a", streams: ["a"] })).toThrow(/not together/);
    });
  }),
);
