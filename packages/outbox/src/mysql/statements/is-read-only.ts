/** Whether the server or the session takes no writes, as an expression: 1 or 0. MariaDB says it in numbers or in words, by version. */
export const isReadOnly = `(@@global.read_only not in ('0', 'OFF')
      or /*!80000 @@global.super_read_only or @@innodb_read_only or @@session.transaction_read_only */
         /*M! @@innodb_read_only or @@session.tx_read_only */)`;
