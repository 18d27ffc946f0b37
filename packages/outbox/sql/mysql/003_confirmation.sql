-- Messages whose consumers must confirm that their effects are committed: a copy of each, for every consumer that has not yet. Confirming deletes the
-- row. What is not confirmed when it is due enters the ledger again from here, with the same id, and has longer the next time; a relay does that. One
-- table for all ledgers. All times are in UTC.
create table if not exists waybill_confirmation (
  message_id    char(36)     character set ascii collate ascii_bin not null,
  consumer      varchar(100) character set ascii collate ascii_bin not null,
  stream        varchar(63)  character set ascii collate ascii_bin not null,
  within_ms     bigint       not null,
  due_at        datetime(6)  not null,
  -- How often it has entered the ledger again.
  repeats       int          not null default 0,
  created_at    datetime(6)  not null default (utc_timestamp(6)),
  type          varchar(255) not null,
  topic         varchar(255) not null,
  `key`         varchar(255),
  headers       text,
  payload       longtext,
  payload_bytes longblob,
  primary key (message_id, consumer),
  key due (stream, due_at, message_id),
  check (topic <> ''),
  check (payload is null or payload_bytes is null)
) engine = InnoDB default character set utf8mb4 collate utf8mb4_bin;

-- Rights, besides those of the migrations before:
--
--   grant insert, select, update, delete on waybill_confirmation to app;
--   grant select, update, delete on waybill_confirmation to waybill_relay;
--
-- The application's are for those that ask for confirmations, or receive them; its update is for the lock on a row, and changes nothing.
