/**
 * Asks whether this session is ours alone, and if so lets the server end by itself what we have given up.
 *
 * $1 the pid our handshake named; another one answers behind a pooler, where settings would reach somebody else's session
 * $2 milliseconds for one statement, and for our silence inside a transaction
 *
 * `client_connection_check_interval` ends a statement, and frees its locks, within a second of our destroying the connection; without
 * it the server looks at the socket when it has something to say. Windows refuses the setting; what
 * only resembles PostgreSQL may not know it.
 *
 * One statement, so that nothing can come between question and setting. Always one row; `is_direct` false: pooled, nothing was set.
 */
export const prepareSession = `
  select pg_backend_pid() is not distinct from $1::int as is_direct,
         case when pg_backend_pid() = $1::int then set_config('statement_timeout', $2, false) end,
         case when pg_backend_pid() = $1::int then set_config('idle_in_transaction_session_timeout', $2, false) end,
         case
           when pg_backend_pid() = $1::int
            and current_setting('client_connection_check_interval', true) is not null
            and version() !~* 'visual c|mingw'
           then set_config('client_connection_check_interval', '1000', false)
         end`;
