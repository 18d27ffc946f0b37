/**
 * Whether the current role owns table $1 (a quoted name; null if there is no such table), and how long its sessions may forget a transaction. One
 * row.
 */
export const readRole = `
  select (select pg_has_role(relowner, 'USAGE') from pg_class where oid = to_regclass($1::text)) as owns_outbox,
         current_setting('idle_in_transaction_session_timeout') as idle_in_transaction_session_timeout`;
