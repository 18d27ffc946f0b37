-- The fate of local transactions: 'committed' commits together with the business rows; 'fenced' was there first, and the transaction can commit no more.
-- Rows never change. Whoever inserts second fails or waits: that is the whole proof.
create table if not exists waybill_barrier (
  producer   varchar(64) character set ascii collate ascii_bin not null,
  id         varchar(64) character set ascii collate ascii_bin not null,
  fate       varchar(9)  character set ascii collate ascii_bin not null check (fate in ('committed', 'fenced')),
  created_at datetime(6) not null default (utc_timestamp(6)),
  primary key (producer, id),
  -- Retention.
  key created (producer, created_at)
) engine = InnoDB;

-- Tells this table from every other one: staging, a second schema, a second database. One row, never updated.
-- A table of its own, because a transaction that joins share-locks at REPEATABLE READ what it reads here until it ends.
create table if not exists waybill_barrier_identity (
  only_row smallint not null default 1 primary key check (only_row = 1),
  identity char(36) character set ascii collate ascii_bin not null
) engine = InnoDB;

-- Rows older than this may be gone. One row.
create table if not exists waybill_barrier_horizon (
  only_row      smallint    not null default 1 primary key check (only_row = 1),
  purged_before datetime(6) not null default '1970-01-01 00:00:00'
) engine = InnoDB;

insert ignore into waybill_barrier_identity (only_row, identity) values (1, uuid());
insert ignore into waybill_barrier_horizon (only_row) values (1);

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
