-- Subscriptions: named readers of a stream. One row is a cursor, its lease, and what is known about messages that kill relays.
--
-- The row is rewritten several times a second, so its pages are left nearly empty and vacuumed often: updates stay heap-only.

create table waybill_subscription (
  stream        text        not null,
  subscription  text        not null,

  -- How far it has come: the highest id read, and the ids at or below it that are to be read again after a crash.
  last_id       bigint      not null default 0,
  hole_lo       bigint[]    not null default '{}',
  hole_hi       bigint[]    not null default '{}',
  saved_at      timestamptz not null default clock_timestamp(),

  -- The right to run it. epoch and owner are part of every write.
  epoch         bigint      not null default 0,
  owner         uuid,
  lease_until   timestamptz not null default '-infinity',
  config_hash   text,

  -- Which database the cursor was saved in: server, timeline and ledger.
  server_identity text,
  ledger_identity text,

  state         text        not null default 'active' check (state in ('active', 'paused', 'stopped')),
  state_reason  text,

  -- Finding a message that kills its relay: has this holder got anywhere, what is it publishing alone, who died of what how often.
  progressed    boolean     not null default false,
  solo_id       bigint,
  solo_deaths   text        not null default '{}',

  primary key (stream, subscription),
  check (cardinality(hole_lo) = cardinality(hole_hi))
) with (fillfactor = 10, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Rights of a relay's role besides those on the ledger and on the dead letters:
--   grant select, insert, update on waybill_subscription to waybill_relay;
--   grant insert on waybill_audit to waybill_relay;
