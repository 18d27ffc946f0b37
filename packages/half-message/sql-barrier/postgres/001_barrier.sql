-- The fate of local transactions: 'committed' commits together with the business rows; 'fenced' was there first, and the transaction can commit no more.
-- Rows never change. Whoever inserts second fails or waits: that is the whole proof.
create table waybill_barrier (
  producer   text collate "C" not null check (octet_length(producer) <= 64),
  id         text collate "C" not null check (octet_length(id) <= 64),
  fate       text collate "C" not null check (fate in ('committed', 'fenced')),
  -- Not now(): a transaction may have begun long before its half message was prepared.
  created_at timestamptz      not null default clock_timestamp(),
  primary key (producer, id)
);

-- Retention.
create index waybill_barrier_created on waybill_barrier (producer, created_at);

-- Tells this table from every other one: staging, a second schema, a second database. One row, never updated.
create table waybill_barrier_identity (
  only_row smallint primary key default 1 check (only_row = 1),
  identity uuid     not null
);

-- Rows older than this may be gone. One row.
create table waybill_barrier_horizon (
  only_row      smallint    primary key default 1 check (only_row = 1),
  purged_before timestamptz not null default '1970-01-01 00:00:00+00'
);

insert into waybill_barrier_identity (identity) values (gen_random_uuid());
insert into waybill_barrier_horizon default values;

-- Rights, for an application that logs in as `app`, and for a half-message service that answers its checks itself as `checker`:
--
--   grant select, insert on waybill_barrier to app, checker;
--   grant select on waybill_barrier_identity to app, checker;
--   grant select on waybill_barrier_horizon to app, checker;
--
-- Whoever runs retention needs besides:
--
--   grant delete on waybill_barrier to app;
--   grant update on waybill_barrier_horizon to app;
