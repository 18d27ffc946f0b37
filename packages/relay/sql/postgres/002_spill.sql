-- Messages whose topic or key has waited for long, copied aside so that the subscription's cursor, and with it history, goes on without them.
-- They come before newer messages of their topic and key. A copy is deleted after its confirm, or together with the insert of its dead letter.
-- Only the holder of the subscription's lease writes here, in transactions that first lock its row.
create table waybill_spill (
  stream        text        not null,
  subscription  text        not null,
  -- Its place in the ledger, and so in its lane.
  sequence      bigint      not null,
  -- SHA-256 of the topic, then of the key; of the topic alone for a message without key. Made by the relay: no topic or key is too long for it.
  lane          bytea       not null,
  -- As in the ledger.
  message_id    uuid        not null,
  type          text        not null,
  topic         text        not null,
  key           text,
  headers       text,
  payload       text,
  payload_bytes bytea,
  created_at    timestamptz not null,
  -- What had become of it when it was copied: tries for its own sake, and whether one of them ended unknown.
  attempts      integer     not null default 0,
  may_be_stored boolean     not null default false,
  spilled_at    timestamptz not null default clock_timestamp(),
  -- Ids are used again when a database is restored: then only the message's id tells what is copied.
  primary key (stream, subscription, sequence, message_id),
  check (payload is null or payload_bytes is null)
);

-- The copies of a topic, lane by lane, each lane in its order.
create index waybill_spill_lane on waybill_spill (stream, subscription, lane, sequence);

-- Rights of a relay's role:
--   grant select, insert, delete on waybill_spill to waybill_relay;
