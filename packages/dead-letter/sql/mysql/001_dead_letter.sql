-- Messages given up, or held behind one that was: a copy of each, with its place, its reason and its state.
-- Written by relays (origin 'relay', reader 'stream/subscription') and inboxes (origin 'inbox', reader = consumer).
--
-- Collations that both MySQL and MariaDB have say 'k' = 'k '. So names and ids that are compared are bytes here (convert(… using utf8mb4)
-- shows them), and lanes are compared by a digest of topic and key, which also takes keys that are too long for an index.
create table if not exists waybill_dead_letter (
  origin        varchar(5) character set ascii collate ascii_bin not null check (origin in ('relay', 'inbox')),
  reader        varbinary(512) not null,
  -- Place in its lane: for a relay the position in its ledger; 0 for an inbox, which goes by the order of writing.
  sequence      bigint         not null,
  message_id    varbinary(255) not null,
  -- Order of writing: decides among rows of one lane that have the same sequence.
  position      bigint         not null auto_increment,
  type          longtext character set utf8mb4 collate utf8mb4_bin not null,
  topic         longtext character set utf8mb4 collate utf8mb4_bin not null,
  `key`         longtext character set utf8mb4 collate utf8mb4_bin,
  -- JSON object of strings, as stored or received.
  headers       longtext character set utf8mb4 collate utf8mb4_bin,
  -- At most one of the two is set; both null is a tombstone.
  payload       longtext character set utf8mb4 collate utf8mb4_bin,
  payload_bytes longblob,
  created_at    datetime(6),
  state         varchar(9) character set ascii collate ascii_bin not null check (state in ('dead', 'held', 'released', 'done', 'discarded')),
  -- null: it never failed itself, it waits behind one that did.
  reason        longtext character set utf8mb4 collate utf8mb4_bin,
  -- Of type and payload, where the origin compares them (inbox): same id, other content is another message.
  fingerprint   varchar(64) character set ascii collate ascii_bin,
  attempts      int            not null default 0,
  -- An attempt ended unknown: the receiver may have it.
  may_be_stored tinyint        not null default 0,
  given_up_at   datetime(6)    not null default (utc_timestamp(6)),
  -- When it became done or discarded; retention counts from here.
  decided_at    datetime(6),
  -- Of an open row with a key, else null. laneDigest makes the same of a topic and key that are asked for.
  open_lane     binary(32) generated always as (
                  case
                    when state in ('dead', 'held', 'released')
                    then unhex(sha2(concat(octet_length(topic), ' ', topic, `key`), 256))
                  end
                ) stored,
  primary key (origin, reader, sequence, message_id),
  key `position` (`position`),
  -- The open rows of a lane in their order.
  key lane (origin, reader, open_lane, sequence, position),
  -- Counting by state, and finding released messages without key, which are lanes of their own and never held.
  key state (origin, reader, state, open_lane, sequence, position),
  -- What an inbox asks about each delivery: was this message put aside before?
  key message (origin, reader, message_id),
  -- Retention.
  key decided (origin, reader, decided_at),
  check (payload is null or payload_bytes is null),
  check (state <> 'dead' or reason is not null),
  check (`key` is not null or reason is not null),
  check ((state in ('done', 'discarded')) = (decided_at is not null))
) engine = InnoDB;
