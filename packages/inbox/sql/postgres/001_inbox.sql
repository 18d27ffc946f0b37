-- Messages that a consumer has handled. A row commits together with its handler's effects, so that neither is there without the other.
create table waybill_inbox (
  consumer    text        not null,
  -- Ids of foreign producers need not be UUIDs.
  message_id  text        not null check (octet_length(message_id) <= 255),
  -- Of type and payload: the same id with other content is another message, and a mistake.
  fingerprint text        not null,
  handled_at  timestamptz not null default clock_timestamp(),
  primary key (consumer, message_id)
);

-- Retention.
create index waybill_inbox_handled on waybill_inbox (consumer, handled_at);

-- Attempts at messages that were not handled yet, counted by commits of their own: started before the handler ran, failed after it
-- threw. More starts than failures: the process ended in between. The row goes when the message is handled or put aside.
create table waybill_inbox_attempt (
  consumer   text        not null,
  message_id text        not null check (octet_length(message_id) <= 255),
  started    integer     not null,
  failed     integer     not null,
  counted_at timestamptz not null default clock_timestamp(),
  primary key (consumer, message_id)
);

create index waybill_inbox_attempt_counted on waybill_inbox_attempt (consumer, counted_at);
