-- Half messages and their decisions. The row of a half message outlives its bodies: it is the tombstone that keeps its id spent.
-- Text is compared by bytes everywhere (collate "C"). No foreign keys: their locks would let one message wait for another.

create table waybill_half_message (
  producer          text collate "C" not null,
  id                text collate "C" not null,
  state             text collate "C" not null default 'prepared' check (state in ('prepared', 'suspended', 'committed', 'rolled_back')),
  -- One more per transition.
  version           integer          not null default 1,
  -- Of all that was prepared; null only where a rollback came before its prepare.
  fingerprint       bytea            check (octet_length(fingerprint) = 32),
  message_count     smallint         not null,
  -- Of the request that inserted the row: how it tells its own row from one that was there.
  prepare_token     bigint           not null,
  -- The identity of the table in the producer's database that proves what became of its transaction; null: none.
  barrier           uuid,
  -- Only where messages of a key go out in the order of their prepares. order_open = 1 while undecided.
  order_key         text collate "C",
  order_open        smallint         check (order_open = 1),
  traceparent       text collate "C",
  prepared_at       timestamptz      not null default now(),
  prepared_by       text collate "C" not null,
  check_not_before  timestamptz,
  -- Deadline of the prepared state.
  suspend_at        timestamptz,
  -- The next check; a lease moves it to the lease's end. check_token: the fence of the lease.
  check_at          timestamptz,
  check_token       bigint,
  checks_answered   integer          not null default 0,
  checks_unanswered integer          not null default 0,
  unanswered_run    integer          not null default 0,
  not_found_since   timestamptz,
  last_check        text collate "C",
  last_check_at     timestamptz,
  decided_at        timestamptz,
  -- producer:<key id>, check:<number> or operator:<key id>
  decided_by        text collate "C",
  purge_at          timestamptz,
  body_purged_at    timestamptz,
  primary key (producer, id),
  check ((state in ('committed', 'rolled_back')) = (decided_at is not null)),
  check ((decided_at is null) = (decided_by is null)),
  check ((decided_at is null) = (purge_at is null)),
  check ((state = 'prepared') = (suspend_at is not null)),
  check (state <> 'prepared' or check_at is not null),
  check (decided_at is null or check_at is null),
  check (fingerprint is not null or state = 'rolled_back'),
  check (order_open is null or (decided_at is null and order_key is not null))
) with (fillfactor = 80);

create index waybill_half_message_due on waybill_half_message (producer, check_at) where check_at is not null;
create index waybill_half_message_deadline on waybill_half_message (producer, suspend_at) where suspend_at is not null;
create index waybill_half_message_purge on waybill_half_message (purge_at) where purge_at is not null;
create index waybill_half_message_order on waybill_half_message (producer, order_key, order_open, prepared_at) where order_open = 1;

-- The messages of a half message: inserted once, never updated.
create table waybill_half_message_body (
  producer     text collate "C" not null,
  id           text collate "C" not null,
  ordinal      smallint         not null,
  message_id   text collate "C" not null,
  type         text collate "C" not null,
  topic        text collate "C" not null,
  key          text collate "C",
  business_key text collate "C",
  -- Counts from the decision.
  delay_ms     bigint           not null default 0,
  -- JSON object of strings.
  headers      text             not null,
  payload      bytea            not null,
  -- JSON array of destinations, as configured when the message was prepared; a receiver stands as receivers/<name>.
  destinations text             not null,
  primary key (producer, id, ordinal)
);

-- One message for one destination.
create table waybill_delivery (
  seq          bigint           generated always as identity primary key,
  -- Random: the public id is <seq>-<code as 16 hexadecimal digits>, needs no index and cannot be guessed.
  code         bigint           not null,
  producer     text collate "C" not null,
  id           text collate "C" not null,
  ordinal      smallint         not null,
  message_id   text collate "C" not null,
  destination  text collate "C" not null,
  receiver     text collate "C",
  business_key text collate "C",
  state        text collate "C" not null default 'pending' check (state in ('pending', 'awaiting_ack', 'acked', 'dead')),
  ack_mode     text collate "C" not null check (ack_mode in ('implicit', 'explicit')),
  -- The message's key or the receiver. open_lane = lane while the lane schedules this row.
  lane         text collate "C",
  open_lane    text collate "C",
  -- Of rows without a lane and rows that wait for an ack; not_before: of rows in a lane.
  due_at       timestamptz,
  not_before   timestamptz,
  lease_token  bigint,
  attempts     integer          not null default 0,
  redeliveries integer          not null default 0,
  created_at   timestamptz      not null default now(),
  give_up_at   timestamptz,
  last_at      timestamptz,
  last_outcome text collate "C",
  last_error   text,
  acked_at     timestamptz,
  acked_by     text collate "C",
  dead_at      timestamptz,
  dead_reason  text collate "C",
  check ((state = 'acked') = (acked_at is not null)),
  check ((state = 'dead') = (dead_at is not null)),
  check ((dead_at is null) = (dead_reason is null)),
  check (open_lane is null or open_lane = lane)
) with (fillfactor = 80);

create index waybill_delivery_due on waybill_delivery (destination, due_at) where due_at is not null;
create index waybill_delivery_lane_order on waybill_delivery (destination, open_lane, seq) where open_lane is not null;
create index waybill_delivery_dead on waybill_delivery (destination, dead_at) where dead_at is not null;
create index waybill_delivery_message on waybill_delivery (producer, id);
create index waybill_delivery_receiver on waybill_delivery (receiver, seq) where receiver is not null;
create index waybill_delivery_receiver_business_key on waybill_delivery (receiver, business_key) where receiver is not null;
create index waybill_delivery_receiver_message on waybill_delivery (receiver, message_id) where receiver is not null;

-- A key or a receiver with open deliveries: what can be blocked by itself.
create table waybill_delivery_lane (
  destination   text collate "C" not null,
  lane          text collate "C" not null,
  due_at        timestamptz      not null,
  blocked_until timestamptz      not null default '1970-01-01 00:00:00+00',
  lease_token   bigint,
  failures      integer          not null default 0,
  primary key (destination, lane)
) with (fillfactor = 80);

create index waybill_delivery_lane_due on waybill_delivery_lane (destination, due_at);

-- Every attempt over HTTP, and every failed one at a broker. Only ever inserted.
create table waybill_delivery_attempt (
  delivery_seq bigint           not null,
  attempt      integer          not null,
  started_at   timestamptz      not null,
  took_ms      integer          not null,
  outcome      text collate "C" not null,
  status       smallint,
  error        text,
  primary key (delivery_seq, attempt)
);

-- Who decided what, when and why, and who tried in vain. Written in the transaction of what it tells; never changed, and kept for 30 days at least.
create table waybill_decision_log (
  seq          bigint           generated always as identity primary key,
  producer     text collate "C",
  id           text collate "C",
  delivery_seq bigint,
  at           timestamptz      not null default now(),
  event        text collate "C" not null check (event in (
                 'committed', 'rolled_back', 'suspended', 'resumed', 'conflict', 'barrier_mismatch',
                 'dead', 'redriven', 'given_up', 'force_acked', 'receiver_changed', 'revealed')),
  from_state   text collate "C",
  to_state     text collate "C",
  actor        text collate "C" not null,
  reason       text,
  check_number integer
);

create index waybill_decision_log_message on waybill_decision_log (producer, id, seq);

create function waybill_decision_log_stays() returns trigger language plpgsql as $$
begin
  if tg_op = 'DELETE' and old.at < now() - interval '30 days' then
    return old;
  end if;
  raise exception 'the decision log is never changed, and its rows stay for 30 days';
end
$$;

create trigger waybill_decision_log_stays before update or delete on waybill_decision_log
  for each row execute function waybill_decision_log_stays();

-- Endpoints of notifications, registered by an operator. secret says where it comes from ({"derived": n}, {"env"}, {"file"}) and is never a value.
create table waybill_receiver (
  receiver        text collate "C" primary key,
  url             text             not null,
  secret          text             not null,
  schedule        text             not null,
  success         text             not null,
  state           text collate "C" not null check (state in ('active', 'disabled')),
  disabled_reason text collate "C",
  failing_since   timestamptz,
  version         integer          not null default 1,
  updated_at      timestamptz      not null default now(),
  updated_by      text collate "C" not null
);

-- Numbers used once, of signed calls that would do something again if they were replayed.
create table waybill_nonce (
  key_id     text collate "C" not null,
  nonce      text collate "C" not null,
  expires_at timestamptz      not null,
  primary key (key_id, nonce)
);

create index waybill_nonce_expires on waybill_nonce (expires_at);
