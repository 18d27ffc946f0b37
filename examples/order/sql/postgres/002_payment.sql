-- What was paid for an order, and by which messages. No unique key on purpose: that each message is here once is the inbox's work.

alter table customer_order add column paid_cents bigint not null default 0;

create table order_payment (
  payment_no bigint      generated always as identity primary key,
  payment_id uuid        not null,
  order_id   uuid        not null references customer_order,
  message_id text        not null,
  cents      bigint      not null,
  noted_at   timestamptz not null default clock_timestamp()
);
