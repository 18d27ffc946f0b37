-- Who did what to which row, and why: written in the transaction that did it, never changed afterwards.
-- Nothing here is read by an engine. Remove old rows as your own rules ask; no payloads and no keys are stored.

create table if not exists waybill_audit (
  id      bigint not null auto_increment primary key,
  at      datetime(6) not null default (utc_timestamp(6)),
  who     text character set utf8mb4 collate utf8mb4_bin not null, -- the person or program, as it named itself
  what    text character set utf8mb4 collate utf8mb4_bin not null, -- what was done, e.g. "dead-letter.redrive"
  subject text character set utf8mb4 collate utf8mb4_bin not null, -- which row, e.g. "subscription default/kafka"
  why     text character set utf8mb4 collate utf8mb4_bin,          -- the reason that was given
  detail  text character set utf8mb4 collate utf8mb4_bin           -- further facts, e.g. the state before
) engine = InnoDB;
