-- Half messages and their decisions. The row of a half message outlives its bodies: it is the tombstone that keeps its id spent.
-- Names and ids are ASCII, all other text is utf8mb4. No foreign keys: their locks would let one message wait for another.

create table if not exists waybill_half_message (
  producer varchar(64) not null,
  id varchar(64) not null,
  state varchar(12) not null default 'prepared' check (state in ('prepared', 'suspended', 'committed', 'rolled_back')),
  -- One more per transition.
  version int not null default 1,
  -- Of all that was prepared; null only where a rollback came before its prepare.
  fingerprint varbinary(32) check (length(fingerprint) = 32),
  message_count smallint not null,
  -- Of the request that inserted the row: how it tells its own row from one that was there.
  prepare_token bigint not null,
  -- The identity of the table in the producer's database that proves what became of its transaction; null: none.
  barrier char(36),
  -- Only where messages of a key go out in the order of their prepares. order_open = 1 while undecided.
  order_key varchar(255) character set utf8mb4 collate utf8mb4_bin,
  order_open smallint check (order_open = 1),
  traceparent varchar(64),
  prepared_at datetime(6) not null default (utc_timestamp(6)),
  prepared_by varchar(64) not null,
  check_not_before datetime(6),
  -- Deadline of the prepared state.
  suspend_at datetime(6),
  -- The next check; a lease moves it to the lease's end. check_token: the fence of the lease.
  check_at datetime(6),
  check_token bigint,
  checks_answered int not null default 0,
  checks_unanswered int not null default 0,
  unanswered_run int not null default 0,
  not_found_since datetime(6),
  last_check varchar(32),
  last_check_at datetime(6),
  decided_at datetime(6),
  -- producer:<key id>, check:<number> or operator:<key id>
  decided_by varchar(128),
  purge_at datetime(6),
  body_purged_at datetime(6),
  primary key (producer, id),
  check ((state in ('committed', 'rolled_back')) = (decided_at is not null)),
  check ((decided_at is null) = (decided_by is null)),
  check ((decided_at is null) = (purge_at is null)),
  check ((state = 'prepared') = (suspend_at is not null)),
  check (state <> 'prepared' or check_at is not null),
  check (decided_at is null or check_at is null),
  check (fingerprint is not null or state = 'rolled_back'),
  check (order_open is null or (decided_at is null and order_key is not null)),
  key `due` (producer, check_at),
  key `deadline` (producer, suspend_at),
  key `purge` (purge_at),
  key `order` (producer, order_key, order_open, prepared_at)
) engine = InnoDB default character set ascii collate ascii_bin;

-- The messages of a half message: inserted once, never updated.
create table if not exists waybill_half_message_body (
  producer varchar(64) not null,
  id varchar(64) not null,
  ordinal smallint not null,
  message_id varchar(64) not null,
  type varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  topic varchar(249) not null,
  `key` varchar(255) character set utf8mb4 collate utf8mb4_bin,
  business_key varchar(128) character set utf8mb4 collate utf8mb4_bin,
  -- Counts from the decision.
  delay_ms bigint not null default 0,
  -- JSON object of strings.
  headers mediumtext character set utf8mb4 collate utf8mb4_bin not null,
  payload mediumblob not null,
  -- JSON array of destinations, as configured when the message was prepared; a receiver stands as receivers/<name>.
  destinations mediumtext character set utf8mb4 collate utf8mb4_bin not null,
  primary key (producer, id, ordinal)
) engine = InnoDB default character set ascii collate ascii_bin;

-- One message for one destination.
create table if not exists waybill_delivery (
  seq bigint not null auto_increment primary key,
  -- Random: the public id is <seq>-<code as 16 hexadecimal digits>, needs no index and cannot be guessed.
  code bigint not null,
  producer varchar(64) not null,
  id varchar(64) not null,
  ordinal smallint not null,
  message_id varchar(64) not null,
  destination varchar(64) not null,
  receiver varchar(64),
  business_key varchar(128) character set utf8mb4 collate utf8mb4_bin,
  state varchar(12) not null default 'pending' check (state in ('pending', 'awaiting_ack', 'acked', 'dead')),
  ack_mode varchar(8) not null check (ack_mode in ('implicit', 'explicit')),
  -- The message's key or the receiver. open_lane = lane while the lane schedules this row.
  lane varchar(255) character set utf8mb4 collate utf8mb4_bin,
  open_lane varchar(255) character set utf8mb4 collate utf8mb4_bin,
  -- Of rows without a lane and rows that wait for an ack; not_before: of rows in a lane.
  due_at datetime(6),
  not_before datetime(6),
  lease_token bigint,
  attempts int not null default 0,
  redeliveries int not null default 0,
  created_at datetime(6) not null default (utc_timestamp(6)),
  give_up_at datetime(6),
  last_at datetime(6),
  last_outcome varchar(16),
  last_error varchar(500) character set utf8mb4 collate utf8mb4_bin,
  acked_at datetime(6),
  acked_by varchar(128),
  dead_at datetime(6),
  dead_reason varchar(64),
  check ((state = 'acked') = (acked_at is not null)),
  check ((state = 'dead') = (dead_at is not null)),
  check ((dead_at is null) = (dead_reason is null)),
  check (open_lane is null or open_lane = lane),
  key `due` (destination, due_at),
  key `lane_order` (destination, open_lane, seq),
  key `dead` (destination, dead_at),
  key `message` (producer, id),
  key `receiver` (receiver, seq),
  key `receiver_business_key` (receiver, business_key),
  key `receiver_message` (receiver, message_id)
) engine = InnoDB default character set ascii collate ascii_bin;

-- A key or a receiver with open deliveries: what can be blocked by itself.
create table if not exists waybill_delivery_lane (
  destination varchar(64) not null,
  lane varchar(255) character set utf8mb4 collate utf8mb4_bin not null,
  due_at datetime(6) not null,
  blocked_until datetime(6) not null default '1970-01-01 00:00:00',
  lease_token bigint,
  failures int not null default 0,
  primary key (destination, lane),
  key `due` (destination, due_at)
) engine = InnoDB default character set ascii collate ascii_bin;

-- Every attempt over HTTP, and every failed one at a broker. Only ever inserted.
create table if not exists waybill_delivery_attempt (
  delivery_seq bigint not null,
  attempt int not null,
  started_at datetime(6) not null,
  took_ms int not null,
  outcome varchar(16) not null,
  status smallint,
  error varchar(500) character set utf8mb4 collate utf8mb4_bin,
  primary key (delivery_seq, attempt)
) engine = InnoDB default character set ascii collate ascii_bin;

-- Who decided what, when and why, and who tried in vain. Written in the transaction of what it tells; never changed, and kept for 30 days at least.
create table if not exists waybill_decision_log (
  seq bigint not null auto_increment primary key,
  producer varchar(64),
  id varchar(64),
  delivery_seq bigint,
  at datetime(6) not null default (utc_timestamp(6)),
  event varchar(32) not null check (event in (
                 'committed', 'rolled_back', 'suspended', 'resumed', 'conflict', 'barrier_mismatch',
                 'dead', 'redriven', 'given_up', 'force_acked', 'receiver_changed', 'revealed')),
  from_state varchar(12),
  to_state varchar(12),
  actor varchar(128) not null,
  reason varchar(500) character set utf8mb4 collate utf8mb4_bin,
  check_number int,
  key `message` (producer, id, seq)
) engine = InnoDB default character set ascii collate ascii_bin;

drop trigger if exists waybill_decision_log_unchanged;
create trigger waybill_decision_log_unchanged before update on waybill_decision_log for each row
  signal sqlstate '45000' set message_text = 'the decision log is never changed';

drop trigger if exists waybill_decision_log_stays;
delimiter //
create trigger waybill_decision_log_stays before delete on waybill_decision_log for each row
  if old.at >= utc_timestamp(6) - interval 30 day then
    signal sqlstate '45000' set message_text = 'rows of the decision log stay for 30 days';
  end if//
delimiter ;

-- Endpoints of notifications, registered by an operator. secret says where it comes from ({"derived": n}, {"env"}, {"file"}) and is never a value.
create table if not exists waybill_receiver (
  receiver varchar(64) not null primary key,
  url varchar(1024) character set utf8mb4 collate utf8mb4_bin not null,
  secret mediumtext character set utf8mb4 collate utf8mb4_bin not null,
  schedule mediumtext character set utf8mb4 collate utf8mb4_bin not null,
  success mediumtext character set utf8mb4 collate utf8mb4_bin not null,
  state varchar(12) not null check (state in ('active', 'disabled')),
  disabled_reason varchar(64),
  failing_since datetime(6),
  version int not null default 1,
  updated_at datetime(6) not null default (utc_timestamp(6)),
  updated_by varchar(128) not null
) engine = InnoDB default character set ascii collate ascii_bin;

-- Numbers used once, of signed calls that would do something again if they were replayed.
create table if not exists waybill_nonce (
  key_id varchar(64) not null,
  nonce varchar(64) not null,
  expires_at datetime(6) not null,
  primary key (key_id, nonce),
  key `expires` (expires_at)
) engine = InnoDB default character set ascii collate ascii_bin;

