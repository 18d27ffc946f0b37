-- Subscriptions: named readers of a stream. One row is a cursor, its lease, and what is known about messages that kill relays.
-- All times are in UTC.

create table if not exists waybill_subscription (
  stream        varchar(63)  character set ascii collate ascii_bin not null,
  subscription  varchar(63)  character set ascii collate ascii_bin not null,

  -- How far it has come: the highest id read, and the ids at or below it that are to be read again after a crash, as a JSON array of
  -- whole numbers from 0 on: gap, length, gap, length, … ([3,2,4,1] is 3 to 4 and 9 to 9).
  last_id       bigint       not null default 0,
  holes         longtext     character set ascii collate ascii_bin not null,
  saved_at      datetime(6)  not null default (utc_timestamp(6)),

  -- The right to run it. epoch and owner are part of every write.
  epoch         bigint       not null default 0,
  owner         char(36)     character set ascii collate ascii_bin,
  lease_until   datetime(6)  not null default '1970-01-01 00:00:00',
  config_hash   varchar(64)  character set ascii collate ascii_bin,

  -- Which database the cursor was saved in: server and ledger.
  server_identity varchar(255) character set utf8mb4 collate utf8mb4_bin,
  ledger_identity varchar(255) character set utf8mb4 collate utf8mb4_bin,

  state         varchar(16)  character set ascii collate ascii_bin not null default 'active' check (state in ('active', 'paused', 'stopped')),
  state_reason  text         character set utf8mb4 collate utf8mb4_bin,

  -- Finding a message that kills its relay: has this holder got anywhere, what is it publishing alone, who died of what how often.
  progressed    boolean      not null default false,
  solo_id       bigint,
  solo_deaths   longtext     character set ascii collate ascii_bin not null,

  primary key (stream, subscription)
) engine = InnoDB;

-- Rights of a relay's role besides those on the ledger and on the dead letters:
--   grant select, insert, update on waybill_subscription to waybill_relay;
--   grant insert on waybill_audit to waybill_relay;
