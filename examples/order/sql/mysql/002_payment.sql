-- What was paid for an order, and by which messages. No unique key on purpose: that each message is here once is the inbox's work.
-- The column comes last: a statement before it may be run again, it may not.

create table if not exists order_payment (
  payment_no bigint       not null auto_increment primary key,
  payment_id char(36)     character set ascii collate ascii_bin not null,
  order_id   char(36)     character set ascii collate ascii_bin not null,
  message_id varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  cents      bigint       not null,
  noted_at   datetime(6)  not null default (utc_timestamp(6)),
  constraint order_payment_order foreign key (order_id) references customer_order (order_id)
) engine = InnoDB;

alter table customer_order add column paid_cents bigint not null default 0;
