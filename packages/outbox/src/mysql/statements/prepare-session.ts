/**
 * Sets up a session for reading ledgers; to be sent once per connection. MySQL only, MariaDB ignores the comment and sets what it has.
 *
 * With too little memory for ranges MySQL reads the whole index instead, so there is no limit. What it tells of a table's counter may be a
 * day old unless told otherwise.
 */
export const prepareSession =
  "set @waybill_ledger = 1 /*!80000 , session range_optimizer_max_mem_size = 0, session information_schema_stats_expiry = 0 */";
