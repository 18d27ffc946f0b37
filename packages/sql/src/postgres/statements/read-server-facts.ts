/** What `inspectServer` judges. No parameters, always one row. */
export const readServerFacts = `
  select current_setting('server_version') as server_version,
         current_setting('server_version_num') as server_version_num,
         pg_is_in_recovery() as in_recovery,
         current_setting('transaction_read_only') as transaction_read_only,
         current_setting('default_transaction_isolation') as default_transaction_isolation,
         current_setting('synchronous_commit') as synchronous_commit,
         current_setting('fsync') as fsync,
         current_setting('max_connections') as max_connections`;
