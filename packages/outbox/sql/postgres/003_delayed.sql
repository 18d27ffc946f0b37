-- Messages that are not due yet. When they are, by the clock of the database, a relay moves them into the ledger: in the order of due_at, then
-- id, each deleted here and inserted there by one statement. Whoever deletes a row first decides: that is how a message is cancelled.
-- What the ledger would refuse is refused here already, so that no row can keep the others from being moved.
create table waybill_outbox_delayed (
  id            bigint      generated always as identity,
  due_at        timestamptz not null,
  created_at    timestamptz not null default clock_timestamp(),
  message_id    uuid        not null default gen_random_uuid(),
  type          text        not null,
  topic         text        not null,
  key           text,
  headers       text,
  payload       text,
  payload_bytes bytea,
  primary key (id),
  constraint waybill_outbox_delayed_due_at check (isfinite(due_at)),
  constraint waybill_outbox_delayed_topic check (topic <> ''),
  constraint waybill_outbox_delayed_one_payload check (payload is null or payload_bytes is null),
  constraint waybill_outbox_delayed_bytes check (coalesce(octet_length(payload), octet_length(payload_bytes), 0) <= 1000000)
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

create index waybill_outbox_delayed_due on waybill_outbox_delayed (due_at, id);

create unique index waybill_outbox_delayed_message_id on waybill_outbox_delayed (message_id);

-- Rights, besides those at the end of the first migration:
--
--   grant insert (due_at, message_id, type, topic, key, headers, payload, payload_bytes), select, delete on waybill_outbox_delayed to app;
--   grant select, update, delete on waybill_outbox_delayed to waybill_relay;
--
-- Nothing is updated: PostgreSQL asks for the right before it lets a row be locked.
