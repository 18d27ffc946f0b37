/** The server's time, in milliseconds since 1970. */
export const readNow = "select timestampdiff(microsecond, '1970-01-01', utc_timestamp(6)) / 1000 as now_ms";
