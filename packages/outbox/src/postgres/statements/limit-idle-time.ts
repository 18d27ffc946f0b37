/**
 * Has the server end the session, and the transaction with it, if it is silent for a second: comes before locks that application's transactions wait for, so
 * that a process that is stopped, or cut off, does not keep them. One row, without meaning.
 */
export const limitIdleTime = "select set_config('idle_in_transaction_session_timeout', '1000', true)";
