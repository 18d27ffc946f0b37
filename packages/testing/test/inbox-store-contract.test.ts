import { createInboxStore, type InboxStoreOptions, inboxMigrations } from "@waybill/inbox";
import { type MigrationSet, migrateUp, namespace, openDatabase, tableOf } from "@waybill/sql";
import { describe, it } from "vitest";
import { forEachDatabase, type InboxStoreFixture, inboxStoreContract, type TestDatabaseServer, testDatabase } from "../src/index.ts";

const deadLetterMigrations: MigrationSet = { name: "dead-letter", directory: new URL("../../dead-letter/sql/", import.meta.url) };

/** Files a dead letter. Values: message id, topic, key, state, reason, fingerprint, when it was decided or null. */
const fileLetter = {
  postgres: `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, key, state, reason, fingerprint, decided_at)
             values ('inbox', 'one', 0, $1, 'contract.sample.v1', $2, $3, $4, $5, $6, $7)`,
  mysql: `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, \`key\`, state, reason, fingerprint, decided_at)
          values ('inbox', 'one', 0, ?, 'contract.sample.v1', ?, ?, ?, ?, ?, ?)`,
} as const;

async function inboxStoreFixture(server: TestDatabaseServer): Promise<InboxStoreFixture> {
  const space = namespace(server.dialect);
  const own = await testDatabase({ server: server.name });
  const database = openDatabase({ url: own.url, connections: 3 });
  await migrateUp(database, space, [deadLetterMigrations, inboxMigrations]);
  // A claim looks at the table and at nothing else of the dead letters.
  const deadLetters = { table: tableOf(space, "dead_letter") } as InboxStoreOptions["deadLetters"];
  return {
    store: createInboxStore({ space, consumer: "one", deadLetters }),
    otherStore: createInboxStore({ space, consumer: "other", deadLetters }),
    database,
    async file({ messageId, fingerprint, lane, state, reason: given = "rejected" }) {
      const reason = state === "held" ? null : given;
      const decidedAt = state === "discarded" ? "2026-01-01 00:00:00" : null;
      const values = [messageId, lane?.topic ?? "contract", lane?.key ?? null, state, reason, fingerprint, decidedAt];
      await database.query(fileLetter[server.dialect], values);
    },
    async dispose() {
      await database.close();
      await own.drop();
    },
  };
}

await forEachDatabase((server) => {
  describe(`the inbox store on ${server.name} ${server.version} keeps the contract`, () => {
    for (const { name, run } of inboxStoreContract({ create: () => inboxStoreFixture(server) })) it(name, run);
  });
});
