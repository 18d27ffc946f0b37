/**
 * Lets names without a schema mean the schema $1 (quoted) until the end of this transaction. One row.
 *
 * Local, so that nothing of it is left on a connection, or on a server behind a pooler.
 */
export const setSearchPath = "select set_config('search_path', $1, true)";
