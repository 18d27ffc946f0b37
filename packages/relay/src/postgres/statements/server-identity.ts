/**
 * Which server and timeline answers, as an expression: system identifier and the first eight digits of the current WAL file's name.
 *
 * Part of every fenced write, because a pooler may change the server under a living connection. On a standby it raises 55000, which
 * ends the attempt just as well. Any role may ask.
 */
export const serverIdentity =
  "(select system_identifier::text || '/' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) from pg_control_system())";
