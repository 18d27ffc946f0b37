-- The payment service's own tables. Waybill's barrier lies beside them in the same database: that is what tells for good whether a transaction committed.

create table card (
  customer_id text   primary key,
  limit_cents bigint not null default 100000000,
  constraint card_limit check (limit_cents >= 0)
);

create table payment (
  payment_id  uuid        primary key, -- chosen by whoever pays, so that asking twice is harmless
  order_id    uuid        not null,
  customer_id text        not null references card,
  cents       bigint      not null check (cents > 0),
  taken_at    timestamptz not null default clock_timestamp()
);
