/**
 * Lets the server wait longer: $1 milliseconds for one statement, and for our silence inside a transaction.
 * Only on a session that is ours alone, outside a transaction. Always one row.
 */
export const setTimeouts = `
  select set_config('statement_timeout', $1, false), set_config('idle_in_transaction_session_timeout', $1, false)`;
