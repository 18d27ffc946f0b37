/** Which server this is. One row. MariaDB's version says so in its name. */
export const askServer = "select version() as version";

/**
 * The isolation of every transaction of this session; in words, for the variable has another name on older MariaDB. At READ COMMITTED a
 * fence compares with what is committed now, and our deletes and probes leave no gap locks behind that others would wait for.
 */
export const readCommitted = "set session transaction isolation level read committed";

/**
 * Settles what must not depend on how the server was configured. No parameters.
 *
 * `autocommit`, `completion_type`: a statement outside a unit is a transaction of itself, and COMMIT opens no other one. `sql_mode`: too long or
 * malformed values are errors, zero dates too; backslashes escape and double quotes are text, which the driver's escaping relies on.
 * `names`: a server may ignore what the handshake asked for.
 */
export const prepareSession = `
  set names utf8mb4,
      session autocommit = 1,
      session completion_type = 0,
      session time_zone = '+00:00',
      session sql_mode =
        'STRICT_ALL_TABLES,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'`;
