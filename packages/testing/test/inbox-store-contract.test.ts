import { createInboxStore, type InboxStoreOptions, inboxMigrations } from "@waybill/inbox";
import { type MigrationSet, migrateUp, namespace, openDatabase, tableOf } from "@waybill/sql";
import { describe, it } from "vitest";
import { forEachPostgres, type InboxStoreFixture, inboxStoreContract, type TestServer, testDatabase } from "../src/index.ts";

const space = namespace("postgres");
const deadLetterMigrations: MigrationSet = { name: "dead-letter", directory: new URL("../../dead-letter/sql/", import.meta.url) };

async function inboxStoreFixture(server: TestServer): Promise<InboxStoreFixture> {
  const own = await testDatabase({ server: server.name });
  const database = openDatabase({ url: own.url, connections: 3 });
  await migrateUp(database, space, [deadLetterMigrations, inboxMigrations]);
  // A claim looks at the table and at nothing else of the dead letters.
  const deadLetters = { table: tableOf(space, "dead_letter") } as InboxStoreOptions["deadLetters"];
  return {
    store: createInboxStore({ space, consumer: "one", deadLetters }),
    otherStore: createInboxStore({ space, consumer: "other", deadLetters }),
    database,
    async file({ messageId, fingerprint, lane, state }) {
      await database.query(
        `insert into waybill_dead_letter (origin, reader, sequence, message_id, type, topic, key, state, reason, fingerprint, decided_at)
         values ('inbox', 'one', 0, $1, 'contract.sample.v1', $2, $3, $4, $5, $6, case when $4 = 'discarded' then now() end)`,
        [messageId, lane?.topic ?? "contract", lane?.key ?? null, state, state === "held" ? null : "rejected", fingerprint],
      );
    },
    async dispose() {
      await database.close();
      await own.drop();
    },
  };
}

forEachPostgres((server) => {
  describe(`the inbox store on ${server.name} ${server.version} keeps the contract`, () => {
    for (const { name, run } of inboxStoreContract({ create: () => inboxStoreFixture(server) })) it(name, run);
  });
});
