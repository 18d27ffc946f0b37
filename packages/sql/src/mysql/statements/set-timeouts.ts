/** How much longer than us the server waits before it ends by itself what we gave up. */
const serverMarginMs = 1_000;

/** An idle session of ours lives at least this long, so that quiet times cost no reconnects. Seconds. */
const idleSeconds = 60;

/**
 * Lets the server end by itself what we have given up `wantedMs` after it began. Whole numbers of ours are the only things put into the text.
 *
 * Waits for locks of rows and tables end on both. MariaDB ends any statement, and an idle transaction. MySQL ends only SELECT by itself; an
 * idle session goes after a minute at least, and with it a transaction whose client is no longer there: other statements
 * of a client that is gone go on until they wait for a lock, or have something to say. What we give up we also kill (`kill-session.ts`); these are
 * for when that does not get through.
 */
export function setTimeouts(isMaria: boolean, wantedMs: number): string {
  const ms = Math.ceil(wantedMs) + serverMarginMs;
  const seconds = Math.ceil(ms / 1_000);
  const locks = `session innodb_lock_wait_timeout = ${seconds}, session lock_wait_timeout = ${seconds}`;
  return isMaria
    ? `set ${locks}, session max_statement_time = ${seconds}, session idle_transaction_timeout = ${seconds}`
    : `set ${locks}, session max_execution_time = ${ms}, session wait_timeout = ${Math.max(idleSeconds, seconds)}`;
}
