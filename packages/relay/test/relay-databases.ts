/**
 * Databases with all tables of a relay, one per test at a time, used again where a test left nothing but rows behind: making and dropping
 * one costs more than most tests.
 */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type TestDatabase, type TestServer, testDatabase } from "@waybill/testing";
import pg from "pg";
import { relayMigrations } from "../src/index.ts";

export interface RelayDatabases {
  /** A database with empty tables and ids from 1 on. */
  take(): Promise<TestDatabase>;
  /** Ends every session in it; then it is emptied or, if more than rows changed, dropped. */
  giveBack(own: TestDatabase): Promise<void>;
  drop(): Promise<void>;
}

export function relayDatabases(server: TestServer | undefined): RelayDatabases {
  const free: TestDatabase[] = [];
  const shapes = new Map<TestDatabase, string>();

  const make = async (): Promise<TestDatabase> => {
    const own = await testDatabase(server === undefined ? {} : { server: server.name });
    const database = openDatabase({ url: own.url });
    await migrateUp(database, namespace("postgres"), [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations]);
    const [found] = await database.query(shape, []);
    shapes.set(own, String(found?.shape));
    await database.close();
    return own;
  };

  /** False: more than rows changed. */
  const empty = async (own: TestDatabase): Promise<boolean> => {
    const client = new pg.Client({ connectionString: own.url });
    await client.connect();
    try {
      await client.query(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
      );
      const found = await client.query<{ shape: string }>(shape);
      if (found.rows[0]?.shape !== shapes.get(own)) return false;
      await client.query("set lock_timeout = '10s'");
      await client.query(
        "truncate waybill_outbox, waybill_outbox_id, waybill_subscription, waybill_dead_letter, waybill_audit restart identity",
      );
      return true;
    } finally {
      await client.end();
    }
  };

  return {
    take: async () => free.pop() ?? make(),
    async giveBack(own) {
      if (await empty(own)) free.push(own);
      else await own.drop();
    },
    async drop() {
      await Promise.all(free.map((own) => own.drop()));
    },
  };
}

/** Everything about a database that emptying its tables does not undo. */
const shape = `
  select md5(concat_ws('|',
    (select string_agg(relname, ',' order by oid) from pg_class where relnamespace::regnamespace::text not like 'pg_%'),
    (select string_agg(conname, ',' order by oid) from pg_constraint),
    (select string_agg(concat_ws(':', seqincrement, seqcache), ',' order by seqrelid) from pg_sequence),
    (select string_agg(setconfig::text, ',') from pg_db_role_setting join pg_database d on d.oid = setdatabase where datname = current_database()),
    (select string_agg(md5(m::text), ',' order by m::text) from waybill_migration m),
    (select count(*) from pg_prepared_xacts where database = current_database()))) as shape`;
