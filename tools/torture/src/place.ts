/**
 * A server to torture, and on it a database of one run. A server of our own may be killed; on somebody else's a database is made and
 * removed, and nothing but our own sessions is touched.
 */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { outboxMigrations } from "@waybill/outbox";
import { relayMigrations } from "@waybill/relay";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import {
  connectSession,
  createLeaseRecord,
  type DatabaseName,
  type ServerChoice,
  type Session,
  type SessionDialect,
  type StartedServer,
  sessionDialect,
  startMariadb,
  startMysql,
  startPostgres,
  testDatabase,
} from "@waybill/testing";
import { createTables } from "./tables.ts";

export interface Server {
  readonly url: string;
  /** For people. */
  readonly name: string;
  /** Null: not ours, and not to be killed. */
  readonly started: StartedServer | null;
  stop(): Promise<void>;
}

export async function openServer(choice: ServerChoice<DatabaseName>): Promise<Server> {
  if ("url" in choice) return { url: choice.url, name: "the server given", started: null, stop: async () => undefined };
  const started = await starters[choice.server]();
  return { url: started.url, name: `${choice.server} ${started.version}`, started, stop: () => started.stop() };
}

const starters = {
  postgres: () => startPostgres({ settings: { max_prepared_transactions: "64", max_connections: "200" } }),
  mariadb: () => startMariadb(),
  mysql: () => startMysql(),
} as const;

export interface Place {
  readonly url: string;
  readonly dialect: SessionDialect;
  /** For what the run itself asks of the product: to send dead letters again. */
  readonly database: Database;
  /** How this run's prepared transactions are called; null: the server takes none. */
  readonly preparedPrefix: string | null;
  /** On a connection of its own. Rejects while the server is away. */
  ask<Answer>(work: (session: Session) => Promise<Answer>): Promise<Answer>;
  remove(): Promise<void>;
}

/** A new database with the product's tables and ours. */
export async function createPlace(server: Server, runName: string): Promise<Place> {
  const made = await testDatabase({ url: server.url });
  const { url } = made;
  const database = openDatabase({ url });
  const ask = async <Answer>(work: (session: Session) => Promise<Answer>): Promise<Answer> => {
    const session = await connectSession(url);
    try {
      return await work(session);
    } finally {
      await session.end();
    }
  };
  try {
    await migrateUp(database, namespace(database.dialect), [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations]);
    const preparedMax = await ask(async (session) => {
      await createTables(session);
      await createLeaseRecord(session);
      if (session.dialect === "mysql") return 64;
      const [row] = await session.run("select current_setting('max_prepared_transactions') as most");
      return Number(row?.["most"]);
    });
    return {
      url,
      dialect: sessionDialect(url),
      database,
      preparedPrefix: preparedMax >= 16 ? `torture-${runName}-` : null,
      ask,
      async remove() {
        await database.close();
        await made.drop();
      },
    };
  } catch (error) {
    await database.close();
    await made.drop();
    throw error;
  }
}
