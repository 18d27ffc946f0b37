/** A row as `toStanding` reads it: hexadecimal and 64-bit numbers as text, times as milliseconds since 1970. `h` is the row. `date_part` is
 * `extract` in floating point: the latter's exact numbers cost more than all else about a row. */
export const standingColumns = `
  h.producer, h.id, h.state, h.version, encode(h.fingerprint, 'hex') as fingerprint, h.message_count, h.prepare_token, h.barrier, h.order_key,
  h.traceparent, h.check_token, h.checks_answered, h.checks_unanswered, h.unanswered_run, h.last_check, h.decided_by,
  date_part('epoch', clock_timestamp()) * 1000 as now_ms,
  date_part('epoch', h.prepared_at) * 1000 as prepared_at_ms,
  date_part('epoch', h.check_not_before) * 1000 as check_not_before_ms,
  date_part('epoch', h.suspend_at) * 1000 as suspend_at_ms,
  date_part('epoch', h.check_at) * 1000 as check_at_ms,
  date_part('epoch', h.not_found_since) * 1000 as not_found_since_ms,
  date_part('epoch', h.last_check_at) * 1000 as last_check_at_ms,
  date_part('epoch', h.decided_at) * 1000 as decided_at_ms`;
