/**
 * pg-transactional-outbox with its polling listener: batches of 500, polled every 10 ms, messages without order among them, which is its fastest;
 * one transaction per message, for that is how it works. Its other listener, by logical replication, handles one message after the other.
 */
import outbox from "pg-transactional-outbox";
import { connectionString, count, handle, payloadSql, sql, tell } from "./peer.mjs";

const { DatabaseSetup, getDisabledLogger, initializePollingMessageListener } = outbox;
const setup = {
  outboxOrInbox: "outbox",
  database: new URL(connectionString).pathname.slice(1),
  schema: "public",
  table: "outbox",
  listenerRole: "postgres",
  nextMessagesName: "next_outbox_messages",
};
await sql(DatabaseSetup.dropAndCreateTable(setup));
await sql(DatabaseSetup.createPollingFunction(setup));
await sql(DatabaseSetup.setupPollingIndexes(setup));
await sql(
  `insert into outbox (id, aggregate_type, aggregate_id, message_type, segment, concurrency, payload)
   select gen_random_uuid(), 'orders', 'order-' || (i % 1000), 'placed', 'order-' || (i % 1000), 'parallel', ${payloadSql}::jsonb
   from generate_series(1, $1::int) as i`,
  [count],
);
await sql("vacuum analyze");
initializePollingMessageListener(
  {
    outboxOrInbox: "outbox",
    dbListenerConfig: { connectionString, max: 20 },
    settings: {
      dbSchema: "public",
      dbTable: "outbox",
      nextMessagesFunctionName: "next_outbox_messages",
      nextMessagesBatchSize: 500,
      nextMessagesLockInMs: 60_000,
      nextMessagesPollingIntervalInMs: 10,
      enableMaxAttemptsProtection: false,
      enablePoisonousMessageProtection: false,
    },
  },
  { handle: async () => handle() },
  getDisabledLogger(),
);
await tell();
