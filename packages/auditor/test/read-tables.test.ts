import { readFileSync } from "node:fs";
import { forEachPostgres, type TestDatabase, testDatabase } from "@waybill/testing";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { audit } from "../src/audit.ts";
import { AuditInputError } from "../src/audit-input-error.ts";
import { digest } from "../src/digest.ts";
import { readBusinessRows, readEffects, readInbox, readLedger } from "../src/read-tables.ts";

/** The tables are those of the shipped migrations, read as text: the auditor imports nothing of what it judges. */
const migration = (name: string): string => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8");

const ledgerTables = [
  "outbox/sql/postgres/001_outbox.sql",
  "relay/sql/postgres/001_relay.sql",
  "dead-letter/sql/postgres/001_dead_letter.sql",
];

const id = (digit: number): string => `00000000-0000-7000-8000-00000000000${digit}`;

forEachPostgres((server) =>
  describe(`a run in ${server.name} ${server.version}`, () => {
    let database: TestDatabase;
    let client: pg.Client;
    beforeAll(async () => {
      database = await testDatabase({ server: server.name });
      client = new pg.Client({ connectionString: database.url });
      await client.connect();
      for (const name of ledgerTables) await client.query(migration(name));
      await client.query(migration("inbox/sql/postgres/001_inbox.sql"));
    });
    afterAll(async () => {
      await client?.end();
      await database?.drop();
    });

    it("is read as it lies there, and judged", async () => {
      await client.query(`insert into waybill_outbox (message_id, type, topic, key, payload, payload_bytes) values
      ('${id(1)}', 't', 'orders', 'a', '{"größe": "1"}', null),
      ('${id(2)}', 't', 'orders', null, null, '\\x00ff80'),
      ('${id(3)}', 't', 'orders', 'a', null, null)`);
      await client.query(`insert into waybill_subscription (stream, subscription, last_id, hole_lo, hole_hi, owner, lease_until) values
      ('default', 'kafka', 2, '{1}', '{2}', gen_random_uuid(), clock_timestamp() + interval '1 hour'),
      ('default', 'web', 9223372036854775807, '{}', '{}', gen_random_uuid(), clock_timestamp() - interval '1 hour'),
      ('other', 'web', 0, '{}', '{}', null, '-infinity')`);
      await client.query(`insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, key, payload, state, reason) values
      ('relay', 'default/web', 1, '${id(1)}', 't', 'orders', 'a', '{"größe": "1"}', 'dead', 'refused'),
      ('relay', 'other/web', 1, '${id(1)}', 't', 'orders', 'a', '', 'dead', 'refused'),
      ('inbox', 'inventory', 2, '${id(2)}', 't', 'orders', null, '', 'dead', 'refused')`);
      await client.query(`insert into waybill_inbox (consumer, message_id, fingerprint) values ('inventory', '${id(1)}', 'f')`);
      await client.query(`create table reservation (id bigint generated always as identity, message_id text not null)`);
      await client.query(`insert into reservation (message_id) values ('${id(3)}'), ('${id(1)}')`);

      const part = await readLedger({ url: database.url });
      expect(part).toEqual({
        ledger: [
          { sequence: 1n, messageId: id(1), type: "t", topic: "orders", key: "a", payloadDigest: digest('{"größe": "1"}') },
          { sequence: 2n, messageId: id(2), type: "t", topic: "orders", key: null, payloadDigest: digest(Uint8Array.of(0, 255, 128)) },
          { sequence: 3n, messageId: id(3), type: "t", topic: "orders", key: "a", payloadDigest: digest(null) },
        ],
        subscriptions: [
          {
            subscription: "kafka",
            lastId: 2n,
            openRanges: [{ lo: 1n, hi: 2n }],
            owner: expect.any(String),
            isLeaseValid: true,
            spilled: 0,
          },
          {
            subscription: "web",
            lastId: 9_223_372_036_854_775_807n,
            openRanges: [],
            owner: expect.any(String),
            isLeaseValid: false,
            spilled: 0,
          },
        ],
        deadLetters: [{ origin: "relay", reader: "web", messageId: id(1), state: "dead", payloadDigest: digest('{"größe": "1"}') }],
      });
      expect(await readInbox({ url: database.url })).toEqual({
        handled: [{ consumer: "inventory", messageId: id(1) }],
        deadLetters: [{ origin: "inbox", reader: "inventory", messageId: id(2), state: "dead", payloadDigest: digest("") }],
      });
      const query = { sql: "select message_id from reservation where message_id <> $1 order by id", values: ["none"] };
      expect(await readEffects({ url: database.url }, "inventory", query)).toEqual([
        { consumer: "inventory", messageId: id(3) },
        { consumer: "inventory", messageId: id(1) },
      ]);
      expect(await readBusinessRows({ url: database.url }, query)).toEqual([id(3), id(1)]);
      const counted = { sql: "select message_id, count(*) as count from reservation group by message_id order by message_id" };
      expect(await readEffects({ url: database.url }, "inventory", counted)).toEqual([
        { consumer: "inventory", messageId: id(1), count: 1 },
        { consumer: "inventory", messageId: id(3), count: 1 },
      ]);

      const verdict = audit({ ...part, intents: [], received: [], consumers: [], effects: [] });
      expect(verdict.counts).toMatchObject({ committed: 3, lost: 3, leased: 1, openRanges: 1, unread: 1 });
    });

    it("is read whole when it is larger than a page, copies counted", async () => {
      await client.query("create schema many");
      await client.query("set search_path to many");
      for (const name of ledgerTables) await client.query(migration(name));
      await client.query(
        "insert into waybill_outbox (type, topic, payload) select 't', 'orders', n::text from generate_series(1, 40001) n",
      );
      // What the auditor relies on of the table of copies, where there is one.
      await client.query("create table if not exists waybill_spill (stream text, subscription text)");
      await client.query("insert into waybill_subscription (stream, subscription) values ('default', 'default')");
      await client.query(
        "insert into waybill_spill (stream, subscription) values ('default', 'default'), ('default', 'default'), ('other', 'default')",
      );
      const { ledger, subscriptions } = await readLedger({ url: database.url, schema: "many" });
      expect(subscriptions).toMatchObject([{ subscription: "default", spilled: 2 }]);
      expect(ledger.map((row) => row.sequence)).toEqual(Array.from({ length: 40_001 }, (_, at) => BigInt(at + 1)));
      expect(ledger.at(-1)?.payloadDigest).toBe(digest("40001"));
    });

    it("cannot be read without its tables, or where nothing answers: an input error that tells no credentials", async () => {
      const absent = await readLedger({ url: database.url, schema: "nowhere" }).catch((caught: unknown) => caught);
      expect(absent).toBeInstanceOf(AuditInputError);
      expect(String(absent)).toContain("42P01");
      const url = new URL(database.url);
      url.password = "canary";
      url.port = "1";
      const refused = await readLedger({ url: url.href, deadlineMs: 5_000 }).catch((caught: unknown) => caught);
      expect(refused).toBeInstanceOf(AuditInputError);
      expect(String(refused)).not.toContain("canary");
      await expect(readLedger({ url: database.url, prefix: 'x"; drop table waybill_outbox; --' })).rejects.toThrow(AuditInputError);
    });
  }),
);
