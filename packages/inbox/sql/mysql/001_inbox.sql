-- Messages that a consumer has handled. A row commits together with its handler's effects, so that neither is there without the other.
--
-- Collations that both MySQL and MariaDB have say 'a' = 'a '. So ids are bytes here; convert(message_id using utf8mb4) shows them.
create table if not exists waybill_inbox (
  consumer    varchar(100) character set ascii collate ascii_bin not null,
  -- Ids of foreign producers need not be UUIDs.
  message_id  varbinary(255) not null,
  -- Of type and payload: the same id with other content is another message, and a mistake.
  fingerprint varchar(64) character set ascii collate ascii_bin not null,
  handled_at  datetime(6)    not null default (utc_timestamp(6)),
  -- Of the attempt that inserted the row: how it tells its own row from one that was there.
  token       char(36) character set ascii collate ascii_bin not null,
  primary key (consumer, message_id),
  -- Retention.
  key handled (consumer, handled_at)
) engine = InnoDB;

-- Attempts at messages that were not handled yet, counted by commits of their own: started before the handler ran, failed after it
-- threw. More starts than failures: the process ended in between. The row goes when the message is handled or put aside.
create table if not exists waybill_inbox_attempt (
  consumer   varchar(100) character set ascii collate ascii_bin not null,
  message_id varbinary(255) not null,
  started    int            not null,
  failed     int            not null,
  counted_at datetime(6)    not null default (utc_timestamp(6)),
  primary key (consumer, message_id),
  key counted (consumer, counted_at)
) engine = InnoDB;
