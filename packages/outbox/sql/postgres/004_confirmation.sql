-- Messages whose consumers must confirm that their effects are committed: a copy of each, for every consumer that has not yet. Confirming deletes the
-- row. What is not confirmed when it is due enters the ledger again from here, with the same id, and has longer the next time; a relay does that. One
-- table for all ledgers.
create table waybill_confirmation (
  message_id    uuid        not null,
  consumer      text        not null check (consumer <> ''),
  stream        text        not null,
  within_ms     bigint      not null check (within_ms > 0),
  due_at        timestamptz not null,
  -- How often it has entered the ledger again.
  repeats       integer     not null default 0,
  created_at    timestamptz not null default clock_timestamp(),
  type          text        not null,
  topic         text        not null,
  key           text,
  headers       text,
  payload       text,
  payload_bytes bytea,
  primary key (message_id, consumer),
  check (topic <> ''),
  check (payload is null or payload_bytes is null)
);

create index waybill_confirmation_due on waybill_confirmation (stream, due_at, message_id);

-- Rights, besides those of the migrations before:
--
--   grant insert, select, update, delete on waybill_confirmation to app;
--   grant select, update, delete on waybill_confirmation to waybill_relay;
--
-- The application's are for those that ask for confirmations, or receive them; its update is for the lock on a row, and changes nothing.
