/** The server's time, in milliseconds since 1970. */
export const readNow = "select (extract(epoch from clock_timestamp()) * 1000)::float8 as now_ms";
