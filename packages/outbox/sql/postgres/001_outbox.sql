-- The ledger: messages are inserted by business transactions, read by relays in id order, and never updated or deleted one by one.
-- Ids come from one sequence without cache, so that every id handed out after another is larger. ROW-FORMAT.md has the contract.
create table waybill_outbox (
  id            bigint      generated always as identity (cache 1 no cycle),
  created_at    timestamptz not null default clock_timestamp(),
  message_id    uuid        not null default gen_random_uuid(),
  type          text        not null,
  topic         text        not null,
  key           text,
  headers       text,
  payload       text,
  payload_bytes bytea,
  primary key (id),
  constraint waybill_outbox_one_payload check (payload is null or payload_bytes is null),
  constraint waybill_outbox_topic check (topic <> '')
) partition by range (id);

-- A partition is named after its first id. More are made ahead of time; what nobody made room for goes to the default partition.
create table waybill_outbox_p1 partition of waybill_outbox for values from (1) to (1000001);
create table waybill_outbox_p1000001 partition of waybill_outbox for values from (1000001) to (2000001);
create table waybill_outbox_p2000001 partition of waybill_outbox for values from (2000001) to (3000001);
create table waybill_outbox_default partition of waybill_outbox default;

-- One row per ledger. ledger_id tells a ledger from another one of the same name; the row's lock serialises upkeep.
create table waybill_stream (
  name       text        not null,
  table_name text        not null,
  ledger_id  uuid        not null default gen_random_uuid(),
  created_at timestamptz not null default clock_timestamp(),
  primary key (name)
);

insert into waybill_stream (name, table_name) values ('default', 'waybill_outbox');

-- Message ids that callers chose themselves: the ledger is partitioned and can have no unique index on message_id.
create table waybill_outbox_id (
  message_id  uuid        not null,
  fingerprint text        not null,
  created_at  timestamptz not null default clock_timestamp(),
  primary key (message_id)
);

create index waybill_outbox_id_created_at on waybill_outbox_id (created_at);

-- Rights, for an application that logs in as `app` and a relay that logs in as `waybill_relay` (neither owns the tables):
--
--   grant insert (message_id, type, topic, key, headers, payload, payload_bytes) on waybill_outbox to app, waybill_relay;
--   grant select, insert on waybill_outbox_id to app;
--   grant select on waybill_outbox to waybill_relay;
--   grant select on sequence waybill_outbox_id_seq to waybill_relay;
--   grant select, update on waybill_stream to waybill_relay;
--
-- The first names columns, so that nobody can choose ids or times, not even with COPY or OVERRIDING SYSTEM VALUE. An application
-- that asks whether a message was appended (its COMMIT went unanswered) also needs:
--
--   grant select on waybill_outbox to app;
--   grant select on sequence waybill_outbox_id_seq to app;
