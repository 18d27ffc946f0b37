/**
 * Sets up a session for reading ledgers; to be sent once per direct connection, never through a pooler.
 *
 * Generic plans prune partitions when they run and are made once; with custom plans a reader would plan every poll, and now and
 * then choose to sort. Compiling a plan of ours takes longer than running it.
 */
export const prepareSession = `
  select
    set_config('plan_cache_mode', 'force_generic_plan', false),
    set_config('jit', 'off', false)`;
