-- What handlers have answered: kept in the transaction of their effects, for whoever delivers the same message or makes the same request again.
-- Rows are of no use to dedupe, and may go before those of waybill_inbox: a retention of their own.
create table waybill_inbox_result (
  consumer    text        not null,
  -- message: of a delivered one · request: of one that was made by a call. Their ids may be the same.
  origin      text        not null check (origin in ('message', 'request')),
  message_id  text        not null check (octet_length(message_id) <= 255),
  -- Of what was delivered or asked: the same id with other content is another request, and a mistake.
  fingerprint text        not null,
  -- JSON. Null only while the transaction that keeps it is open.
  result      text,
  kept_at     timestamptz not null default clock_timestamp(),
  primary key (consumer, origin, message_id)
);

-- Retention.
create index waybill_inbox_result_kept on waybill_inbox_result (consumer, kept_at);
