-- Messages given up, or held behind one that was: a copy of each, with its place, its reason and its state.
-- Written by relays (origin 'relay', reader 'stream/subscription') and inboxes (origin 'inbox', reader = consumer).
create table waybill_dead_letter (
  origin        text        not null check (origin in ('relay', 'inbox')),
  reader        text        not null,
  -- Place in its lane: for a relay the position in its ledger; 0 for an inbox, which goes by the order of writing.
  sequence      bigint      not null,
  message_id    text        not null,
  -- Order of writing: decides among rows of one lane that have the same sequence.
  position      bigint      generated always as identity,
  type          text        not null,
  topic         text        not null,
  key           text,
  -- JSON object of strings, as stored or received.
  headers       text,
  -- At most one of the two is set; both null is a tombstone.
  payload       text,
  payload_bytes bytea,
  created_at    timestamptz,
  state         text        not null check (state in ('dead', 'held', 'released', 'done', 'discarded')),
  -- null: it never failed itself, it waits behind one that did.
  reason        text,
  -- Of type and payload, where the origin compares them (inbox): same id, other content is another message.
  fingerprint   text,
  attempts      integer     not null default 0,
  -- An attempt ended unknown: the receiver may have it.
  may_be_stored boolean     not null default false,
  given_up_at   timestamptz not null default clock_timestamp(),
  -- When it became done or discarded; retention counts from here.
  decided_at    timestamptz,
  primary key (origin, reader, sequence, message_id),
  check (payload is null or payload_bytes is null),
  check (state <> 'dead' or reason is not null),
  check (key is not null or reason is not null),
  check ((state in ('done', 'discarded')) = (decided_at is not null))
);

-- The open rows of a lane in their order. Prefixes, because a row written by hand may have a topic or key too long for an index.
-- No other index covers all open rows: while the table is empty all indexes cost the same, and a prepared statement keeps its plan.
create index waybill_dead_letter_lane on waybill_dead_letter
  (origin, reader, left(topic, 249), left(key, 255), sequence, position)
  where state in ('dead', 'held', 'released');

-- What waits for a decision: counting, and finding what can be released.
create index waybill_dead_letter_dead on waybill_dead_letter (origin, reader, sequence, message_id)
  where state = 'dead';

-- What was released: counting, and finding messages without key, which are lanes of their own and never held.
create index waybill_dead_letter_released on waybill_dead_letter (origin, reader, left(key, 255), sequence, position)
  where state = 'released';

-- What an inbox asks about each delivery: was this message put aside before?
create index waybill_dead_letter_message on waybill_dead_letter (reader, message_id)
  where origin = 'inbox';

-- Retention.
create index waybill_dead_letter_decided on waybill_dead_letter (origin, reader, decided_at)
  where state in ('done', 'discarded');
