/** A database of one run, with the product's tables and the bank's: the source of its messages, or their target. */
import { deadLetterMigrations } from "@waybill/dead-letter";
import { inboxMigrations } from "@waybill/inbox";
import { outboxMigrations } from "@waybill/outbox";
import { relayMigrations } from "@waybill/relay";
import { type Database, migrateUp, namespace, openDatabase, sqlMigrations } from "@waybill/sql";
import { connectSession, createLeaseRecord, type Session, type SessionDialect, sessionDialect, testDatabase } from "@waybill/testing";
import type { DatabaseServer } from "./servers.ts";

export interface Place {
  readonly url: string;
  readonly dialect: SessionDialect;
  /** For what the run itself asks of the product. */
  readonly database: Database;
  /** On a connection of its own. Rejects while the server is away. */
  ask<Answer>(work: (session: Session) => Promise<Answer>): Promise<Answer>;
  remove(): Promise<void>;
}

/** A new database with the tables of every part but the half-message service. Who writes the cursor is noted from the start. */
export async function createPlace(server: Pick<DatabaseServer, "url">): Promise<Place> {
  const made = await testDatabase({ url: server.url });
  const { url } = made;
  const database = openDatabase({ url });
  const place: Place = {
    url,
    dialect: sessionDialect(url),
    database,
    async ask(work) {
      const session = await connectSession(url);
      try {
        return await work(session);
      } finally {
        await session.end();
      }
    },
    async remove() {
      await database.close();
      await made.drop();
    },
  };
  try {
    const sets = [sqlMigrations, outboxMigrations, deadLetterMigrations, relayMigrations, inboxMigrations];
    await migrateUp(database, namespace(database.dialect), sets);
    await place.ask(createLeaseRecord);
    return place;
  } catch (error) {
    await place.remove();
    throw error;
  }
}
