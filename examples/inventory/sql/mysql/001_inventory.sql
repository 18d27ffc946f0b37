-- The inventory service's own tables. Waybill's lie beside them in the same database: that is what lets one COMMIT hold both.
-- Each statement may be run again: here a table is made at once, whatever becomes of the statements after it.

create table if not exists stock (
  sku      varchar(100) character set utf8mb4 collate utf8mb4_bin not null primary key,
  on_hand  int not null check (on_hand >= 0),
  reserved int not null default 0 check (reserved >= 0),
  constraint stock_not_oversold check (reserved <= on_hand)
) engine = InnoDB;

-- What was decided about an order, and by which message. No unique key on purpose: that each message is here once is the inbox's work.
create table if not exists reservation (
  reservation_id bigint       not null auto_increment primary key,
  order_id       char(36)     character set ascii collate ascii_bin not null,
  message_id     varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  sku            varchar(100) character set utf8mb4 collate utf8mb4_bin not null,
  quantity       int          not null,
  is_reserved    boolean      not null,
  -- the message that told the order service
  answer_id      char(36)     character set ascii collate ascii_bin not null,
  decided_at     datetime(6)  not null default (utc_timestamp(6)),
  key reservation_order (order_id)
) engine = InnoDB;
