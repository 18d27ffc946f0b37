/**
 * Asks whether this session is ours alone, and if so lets the server end by itself what we have given up.
 *
 * $1 the pid our handshake named; another one answers behind a pooler, where settings would reach somebody else's session
 * $2 milliseconds for one statement, and for our silence inside a transaction
 *
 * One statement, so that nothing can come between question and setting. Always one row; `is_direct` null counts as pooled.
 */
export const prepareSession = `
  select coalesce(pg_backend_pid() = $1::int, false) as is_direct,
         case when pg_backend_pid() = $1::int then set_config('statement_timeout', $2, false) end,
         case when pg_backend_pid() = $1::int then set_config('idle_in_transaction_session_timeout', $2, false) end`;
