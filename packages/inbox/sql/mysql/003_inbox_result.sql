-- What handlers have answered: kept in the transaction of their effects, for whoever delivers the same message or makes the same request again.
-- Rows are of no use to dedupe, and may go before those of waybill_inbox: a retention of their own.
create table if not exists waybill_inbox_result (
  consumer    varchar(100) character set ascii collate ascii_bin not null,
  -- message: of a delivered one · request: of one that was made by a call. Their ids may be the same.
  origin      varchar(10) character set ascii collate ascii_bin not null,
  message_id  varbinary(255) not null,
  -- Of what was delivered or asked: the same id with other content is another request, and a mistake.
  fingerprint varchar(64) character set ascii collate ascii_bin not null,
  -- JSON. Null only while the transaction that keeps it is open.
  result      mediumtext character set utf8mb4,
  kept_at     datetime(6)    not null default (utc_timestamp(6)),
  -- Of the attempt that inserted the row: how it tells its own row from one that was there.
  token       char(36) character set ascii collate ascii_bin,
  primary key (consumer, origin, message_id),
  -- Retention.
  key kept (consumer, kept_at)
) engine = InnoDB;
