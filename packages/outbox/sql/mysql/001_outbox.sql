-- The ledger: messages are inserted by business transactions, read by relays in id order, and never updated or deleted one by one.
-- One table with one index: ids come from its counter, and history leaves it by ranges of its primary key. A row whose type and
-- topic are both empty is a fence: it took the id of a row that will never come. ROW-FORMAT.md has the contract. All times are in UTC.
create table if not exists waybill_outbox (
  id            bigint       not null auto_increment,
  created_at    datetime(6)  not null default (utc_timestamp(6)),
  message_id    char(36)     character set ascii collate ascii_bin not null default (uuid()),
  type          varchar(255) not null,
  topic         varchar(255) not null,
  `key`         varchar(255),
  headers       text,
  payload       longtext,
  payload_bytes longblob,
  primary key (id),
  constraint waybill_outbox_one_payload check (payload is null or payload_bytes is null)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- One row per ledger. ledger_id tells a ledger from another one of the same name; the row's lock serialises upkeep. Rows up to
-- removed_to were history and are gone: nothing is missing there.
create table if not exists waybill_stream (
  name       varchar(63) character set ascii collate ascii_bin not null,
  table_name varchar(64) character set ascii collate ascii_bin not null,
  ledger_id  char(36)    character set ascii collate ascii_bin not null default (uuid()),
  removed_to bigint      not null default 0,
  created_at datetime(6) not null default (utc_timestamp(6)),
  primary key (name)
) engine = InnoDB;

insert ignore into waybill_stream (name, table_name) values ('default', 'waybill_outbox');

-- Message ids that callers chose themselves: a unique index on the ledger's message_id would make every insert wait for it. token is the
-- attempt that claimed the id: whoever reads its own token back was the first.
create table if not exists waybill_outbox_id (
  message_id  char(36)    character set ascii collate ascii_bin not null,
  fingerprint char(64)    character set ascii collate ascii_bin not null,
  token       char(36)    character set ascii collate ascii_bin not null,
  created_at  datetime(6) not null default (utc_timestamp(6)),
  primary key (message_id),
  key waybill_outbox_id_created_at (created_at)
) engine = InnoDB;

-- 1 024 rows to lock, so that transactions with one key exclude each other before they append.
create table if not exists waybill_key_lock (
  id smallint not null,
  primary key (id)
) engine = InnoDB;

insert ignore into waybill_key_lock (id)
  with recursive digit (n) as (select 0 union all select n + 1 from digit where n < 31)
  select high.n * 32 + low.n from digit as high cross join digit as low;

-- Rights, for an application that logs in as `app` and a relay that logs in as `waybill_relay` (neither owns the tables):
--
--   grant insert (message_id, type, topic, `key`, headers, payload, payload_bytes) on waybill_outbox to app;
--   grant select, insert, update on waybill_outbox_id to app;
--   grant select, update on waybill_key_lock to app;
--   grant select, insert, delete on waybill_outbox to waybill_relay;
--   grant select, update on waybill_stream to waybill_relay;
--   grant select, delete on waybill_outbox_id to waybill_relay;
--
-- The first names columns, so that nobody can choose ids or times. The update on waybill_outbox_id changes nothing: it is what `insert …
-- on duplicate key update` asks for. An application that asks whether a message was appended (its COMMIT went unanswered) also needs:
--
--   grant select on waybill_outbox to app;
