-- The order service's own tables. Waybill's lie beside them in the same database: that is what lets one COMMIT hold both.

create table customer (
  customer_id   text   primary key,
  orders_placed int    not null default 0,
  credit_cents  bigint not null default 100000000,
  constraint customer_credit check (credit_cents >= 0)
);

create table customer_order (
  order_id    uuid        primary key, -- chosen by whoever places the order, so that asking twice is harmless
  customer_id text        not null references customer,
  -- the customer's first order is 1, the second 2, …: taken under the lock of the customer's row
  place       int         not null,
  sku         text        not null,
  quantity    int         not null check (quantity > 0),
  total_cents bigint      not null check (total_cents >= 0),
  status      text        not null default 'pending' check (status in ('pending', 'confirmed', 'rejected')),
  placed_at   timestamptz not null default clock_timestamp()
);

create index customer_order_pending on customer_order (placed_at) where status = 'pending';

-- What became of an order, and by which message. No unique key on purpose: that each message is here once is the inbox's work.
create table order_change (
  change_id  bigint      generated always as identity primary key,
  order_id   uuid        not null references customer_order,
  message_id text        not null,
  status     text        not null,
  changed_at timestamptz not null default clock_timestamp()
);
