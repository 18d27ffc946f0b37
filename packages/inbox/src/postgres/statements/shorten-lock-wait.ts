/** As `limit-lock-wait.ts`, and answers as `before` what was set until now: `limit-lock-wait.ts` takes it back. */
export const shortenLockWait = `
  select current_setting('lock_timeout') as before, set_config('lock_timeout', $1, true)`;
