-- Messages that are not due yet. When they are, by the clock of the database, a relay moves them into the ledger: in the order of due_at, then
-- id, each deleted here and inserted there in one transaction. Whoever deletes a row first decides: that is how a message is cancelled.
-- What the ledger would refuse is refused here already, so that no row can keep the others from being moved. All times are in UTC.
create table if not exists waybill_outbox_delayed (
  id            bigint       not null auto_increment,
  due_at        datetime(6)  not null,
  created_at    datetime(6)  not null default (utc_timestamp(6)),
  message_id    char(36)     character set ascii collate ascii_bin not null default (uuid()),
  type          varchar(255) not null,
  topic         varchar(255) not null,
  `key`         varchar(255),
  headers       text,
  payload       longtext,
  payload_bytes longblob,
  primary key (id),
  key waybill_outbox_delayed_due (due_at, id),
  unique key waybill_outbox_delayed_message_id (message_id),
  constraint waybill_outbox_delayed_topic check (topic <> ''),
  constraint waybill_outbox_delayed_one_payload check (payload is null or payload_bytes is null),
  constraint waybill_outbox_delayed_bytes check (coalesce(octet_length(payload), octet_length(payload_bytes), 0) <= 1000000)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Rights, besides those at the end of the first migration:
--
--   grant insert (due_at, message_id, type, topic, `key`, headers, payload, payload_bytes), select, delete on waybill_outbox_delayed to app;
--   grant select, delete on waybill_outbox_delayed to waybill_relay;
--   grant select, update on waybill_key_lock to waybill_relay;
--
-- The last one is for the locks of keys: a delayed message must not overtake a transaction that holds its key.
