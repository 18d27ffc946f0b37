/** A row as `toStanding` reads it: hexadecimal and 64-bit numbers as text, times as milliseconds since 1970. `h` is the row. */
export const standingColumns = `
  h.producer, h.id, h.state, h.version, encode(h.fingerprint, 'hex') as fingerprint, h.message_count, h.prepare_token, h.barrier, h.order_key,
  h.traceparent, h.check_token, h.checks_answered, h.checks_unanswered, h.unanswered_run, h.last_check, h.decided_by,
  (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms,
  (extract(epoch from h.prepared_at) * 1000)::float8 as prepared_at_ms,
  (extract(epoch from h.check_not_before) * 1000)::float8 as check_not_before_ms,
  (extract(epoch from h.suspend_at) * 1000)::float8 as suspend_at_ms,
  (extract(epoch from h.check_at) * 1000)::float8 as check_at_ms,
  (extract(epoch from h.not_found_since) * 1000)::float8 as not_found_since_ms,
  (extract(epoch from h.last_check_at) * 1000)::float8 as last_check_at_ms,
  (extract(epoch from h.decided_at) * 1000)::float8 as decided_at_ms`;
