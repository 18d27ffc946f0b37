/**
 * Databases with all tables of a relay, one per test at a time, used again where a test left nothing but rows behind: making and dropping
 * one costs more than most tests.
 */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { outboxMigrations } from "@waybill/outbox";
import { migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { type TestDatabase, type TestServer, testDatabase, waitUntil } from "@waybill/testing";
import { relayMigrations } from "../src/index.ts";
import { type Application, type ApplicationRow, connectApplication } from "./application.ts";

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
    await makeTables(own.url);
    const application = await connectApplication(own.url);
    shapes.set(own, await shapeOf(application));
    await application.end();
    return own;
  };

  /** False: more than rows changed. */
  const empty = async (own: TestDatabase): Promise<boolean> => {
    const application = await connectApplication(own.url);
    try {
      await endOthers(application);
      if ((await shapeOf(application)) !== shapes.get(own)) return false;
      await emptyTables(application);
      return true;
    } finally {
      await application.end();
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

export async function makeTables(url: string): Promise<void> {
  const database = openDatabase({ url });
  await migrateUp(database, namespace(database.dialect), [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations]);
  await database.close();
}

/** Ends every session in the database but ours. */
export async function endOthers(application: Application): Promise<void> {
  if (application.dialect === "postgres") {
    const others = "pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()";
    await application.run(`select pg_terminate_backend(pid) from ${others}`);
    return;
  }
  const others = "information_schema.processlist where db = database() and id <> connection_id()";
  // MySQL refuses to list sessions while one of them runs a statement with a character outside of the BMP.
  const list = (): Promise<readonly ApplicationRow[] | null> => application.run(`select id as id from ${others}`).catch(() => null);
  for (const { id } of await waitUntil(list, { what: "the sessions are listed" })) {
    await application.run(`kill connection ${String(id)}`).catch(() => undefined); // it may have ended by itself
  }
}

async function emptyTables(application: Application): Promise<void> {
  const names = ["outbox", "outbox_id", "outbox_delayed", "confirmation", "subscription", "dead_letter", "spill", "audit"];
  const tables = names.map((name) => `waybill_${name}`);
  if (application.dialect === "postgres") {
    await application.run("set lock_timeout = '10s'");
    await application.run(`truncate ${tables.join(", ")} restart identity`);
  } else {
    await application.run("set session lock_wait_timeout = 10");
    for (const table of tables) await application.run(`truncate table ${table}`);
  }
  await application.run("update waybill_stream set removed_to = 0");
}

async function shapeOf(application: Application): Promise<string> {
  await application.run({ postgres: "select 1", mysql: "set session group_concat_max_len = 1000000" });
  const [found] = await application.run(shape);
  return String(found?.shape);
}

/** Everything about a database that emptying its tables does not undo. */
const shape = {
  postgres: `
  select md5(concat_ws('|',
    (select string_agg(relname, ',' order by oid) from pg_class where relnamespace::regnamespace::text not like 'pg_%'),
    (select string_agg(conname, ',' order by oid) from pg_constraint),
    (select string_agg(concat_ws(':', seqincrement, seqcache), ',' order by seqrelid) from pg_sequence),
    (select string_agg(setconfig::text, ',') from pg_db_role_setting join pg_database d on d.oid = setdatabase where datname = current_database()),
    (select string_agg(md5(m::text), ',' order by m::text) from waybill_migration m),
    (select count(*) from pg_prepared_xacts where database = current_database()))) as shape`,
  mysql: `
  select sha2(concat_ws('|',
    (select group_concat(concat_ws(':', table_name, column_name, column_type, extra) order by table_name, ordinal_position)
     from information_schema.columns where table_schema = database()),
    (select group_concat(concat_ws(':', table_name, engine) order by table_name) from information_schema.tables where table_schema = database()),
    (select count(*) from information_schema.triggers where trigger_schema = database()),
    (select group_concat(concat_ws(':', set_name, number, name, checksum) order by set_name, number) from waybill_migration)), 256) as shape`,
};
