-- The highest version of each entity that a guarded handler of a consumer has had, raised in that handler's transaction.
--
-- Rows stay, one for each entity, like the entity's own: without its row an older message would pass. When an entity is gone for good, and so
-- are its messages, its row may be deleted. Entities are bytes, as message ids are: convert(entity using utf8mb4) shows them.
create table if not exists waybill_inbox_version (
  consumer         varchar(100) character set ascii collate ascii_bin not null,
  topic            varchar(249) character set ascii collate ascii_bin not null,
  entity           varbinary(255) not null,
  version          bigint         not null,
  -- Before the last look, which may have raised it or not.
  previous_version bigint,
  raised_at        datetime(6)    not null default (utc_timestamp(6)),
  primary key (consumer, topic, entity)
) engine = InnoDB;
