-- The inventory service's own tables. Waybill's lie beside them in the same database: that is what lets one COMMIT hold both.

create table stock (
  sku      text primary key,
  on_hand  int  not null check (on_hand >= 0),
  reserved int  not null default 0 check (reserved >= 0),
  constraint stock_not_oversold check (reserved <= on_hand)
);

-- What was decided about an order, and by which message. No unique key on purpose: that each message is here once is the inbox's work.
create table reservation (
  reservation_id bigint      generated always as identity primary key,
  order_id       uuid        not null,
  message_id     text        not null,
  sku            text        not null,
  quantity       int         not null,
  is_reserved    boolean     not null,
  -- the message that told the order service
  answer_id      uuid        not null,
  decided_at     timestamptz not null default clock_timestamp()
);

create index reservation_order on reservation (order_id);
