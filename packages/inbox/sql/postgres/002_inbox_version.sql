-- The highest version of each entity that a guarded handler of a consumer has had, raised in that handler's transaction.
--
-- Rows stay, one for each entity, like the entity's own: without its row an older message would pass. When an entity is gone for good, and so
-- are its messages, its row may be deleted.
create table waybill_inbox_version (
  consumer         text        not null,
  topic            text        not null,
  entity           text        not null check (octet_length(entity) <= 255),
  version          bigint      not null check (version >= 0),
  -- Before the last look, which may have raised it or not.
  previous_version bigint,
  raised_at        timestamptz not null default clock_timestamp(),
  primary key (consumer, topic, entity)
);
