-- The card that an order is charged to once its stock is reserved: what it may be charged with, and what it was. One statement: it may not be run again.

alter table customer
  add column card_limit_cents bigint not null default 100000000,
  add column card_used_cents  bigint not null default 0;
