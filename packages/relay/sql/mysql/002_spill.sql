-- Messages whose topic or key has waited for long, copied aside so that the subscription's cursor, and with it history, goes on without them.
-- They come before newer messages of their topic and key. A copy is deleted after its confirm, or together with the insert of its dead letter.
-- Only the holder of the subscription's lease writes here, in transactions that first lock its row.
create table if not exists waybill_spill (
  stream        varchar(63)   character set ascii collate ascii_bin not null,
  subscription  varchar(63)   character set ascii collate ascii_bin not null,
  -- Its place in the ledger, and so in its lane.
  sequence      bigint        not null,
  -- SHA-256 of the topic, then of the key; of the topic alone for a message without key. Made by the relay: no topic or key is too long for it.
  lane          varbinary(64) not null,
  -- As in the ledger.
  message_id    char(36)      character set ascii collate ascii_bin not null,
  type          longtext      character set utf8mb4 collate utf8mb4_bin not null,
  topic         longtext      character set utf8mb4 collate utf8mb4_bin not null,
  `key`         longtext      character set utf8mb4 collate utf8mb4_bin,
  headers       longtext      character set utf8mb4 collate utf8mb4_bin,
  payload       longtext      character set utf8mb4 collate utf8mb4_bin,
  payload_bytes longblob,
  created_at    datetime(6)   not null,
  -- What had become of it when it was copied: tries for its own sake, and whether one of them ended unknown.
  attempts      int           not null default 0,
  may_be_stored tinyint       not null default 0,
  spilled_at    datetime(6)   not null default (utc_timestamp(6)),
  -- Ids are used again when a database is restored: then only the message's id tells what is copied.
  primary key (stream, subscription, sequence, message_id),
  -- The copies of a topic, lane by lane, each lane in its order.
  key lane (stream, subscription, lane, sequence),
  check (payload is null or payload_bytes is null)
) engine = InnoDB;

-- Rights of a relay's role:
--   grant select, insert, delete on waybill_spill to waybill_relay;
