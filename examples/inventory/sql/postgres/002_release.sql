-- Stock that was reserved and taken back, and by which message. No unique key on purpose: that each message is here once is the inbox's work.

create table stock_release (
  release_id  bigint      generated always as identity primary key,
  order_id    uuid        not null,
  message_id  text        not null,
  quantity    int         not null,
  released_at timestamptz not null default clock_timestamp()
);
