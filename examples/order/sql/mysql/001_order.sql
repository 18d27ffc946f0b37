-- The order service's own tables. Waybill's lie beside them in the same database: that is what lets one COMMIT hold both.
-- Each statement may be run again: here a table is made at once, whatever becomes of the statements after it.

create table if not exists customer (
  customer_id   varchar(100) character set utf8mb4 collate utf8mb4_bin not null primary key,
  orders_placed int    not null default 0,
  credit_cents  bigint not null default 100000000,
  constraint customer_credit check (credit_cents >= 0)
) engine = InnoDB;

create table if not exists customer_order (
  order_id    char(36)     character set ascii collate ascii_bin not null primary key, -- chosen by whoever places the order, so that asking twice is harmless
  customer_id varchar(100) character set utf8mb4 collate utf8mb4_bin not null,
  -- the customer's first order is 1, the second 2, …: taken under the lock of the customer's row
  place       int          not null,
  sku         varchar(100) character set utf8mb4 collate utf8mb4_bin not null,
  quantity    int          not null check (quantity > 0),
  total_cents bigint       not null check (total_cents >= 0),
  status      varchar(20)  not null default 'pending' check (status in ('pending', 'confirmed', 'rejected')),
  placed_at   datetime(6)  not null default (utc_timestamp(6)),
  key customer_order_status (status, placed_at),
  constraint customer_order_customer foreign key (customer_id) references customer (customer_id)
) engine = InnoDB;

-- What became of an order, and by which message. No unique key on purpose: that each message is here once is the inbox's work.
create table if not exists order_change (
  change_id  bigint       not null auto_increment primary key,
  order_id   char(36)     character set ascii collate ascii_bin not null,
  message_id varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  status     varchar(20)  not null,
  changed_at datetime(6)  not null default (utc_timestamp(6)),
  constraint order_change_order foreign key (order_id) references customer_order (order_id)
) engine = InnoDB;
