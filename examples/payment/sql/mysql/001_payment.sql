-- The payment service's own tables. Waybill's barrier lies beside them in the same database: that is what tells for good whether a transaction committed.
-- Each statement may be run again: here a table is made at once, whatever becomes of the statements after it.

create table if not exists card (
  customer_id varchar(100) character set utf8mb4 collate utf8mb4_bin not null primary key,
  limit_cents bigint not null default 100000000,
  constraint card_limit check (limit_cents >= 0)
) engine = InnoDB;

create table if not exists payment (
  payment_id  char(36)     character set ascii collate ascii_bin not null primary key, -- chosen by whoever pays, so that asking twice is harmless
  order_id    char(36)     character set ascii collate ascii_bin not null,
  customer_id varchar(100) character set utf8mb4 collate utf8mb4_bin not null,
  cents       bigint       not null check (cents > 0),
  taken_at    datetime(6)  not null default (utc_timestamp(6)),
  constraint payment_card foreign key (customer_id) references card (customer_id)
) engine = InnoDB;
