/** Which server this is. One row. */
export const readVersion = "select version() as version, @@version_comment as version_comment";

/**
 * The settings that `inspectServer` judges, as a session starts with them. One row (`Variable_name`, `Value`) for each that this server has: MariaDB
 * before 11.1 says `tx_isolation` for `transaction_isolation`, and each has some that the other has not.
 */
export const readServerFacts = `
  show global variables
  where variable_name in (
    'auto_increment_increment', 'binlog_format', 'default_storage_engine', 'innodb_autoinc_lock_mode', 'innodb_flush_log_at_trx_commit',
    'innodb_read_only', 'log_bin', 'max_allowed_packet', 'max_connections', 'read_only', 'super_read_only', 'sync_binlog',
    'transaction_isolation', 'tx_isolation', 'wsrep_on')`;

/**
 * Tables whose names begin with ?2 (escaped for LIKE) in schema ?1 (null: the connection's) that have no transactions. No row: none. Served
 * by the dictionary.
 */
export const readForeignEngines = `
  select table_name as table_name, engine as engine
  from information_schema.tables
  where table_schema = coalesce(?, database())
    and table_name like ?
    and table_type = 'BASE TABLE'
    and engine <> 'InnoDB'
  order by table_name`;
