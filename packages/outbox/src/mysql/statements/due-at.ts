/** A due time: ? microseconds since 1970, or null; then ? microseconds from this statement on, or null. */
export const dueAt =
  "coalesce(timestampadd(microsecond, ?, timestamp '1970-01-01 00:00:00'), timestampadd(microsecond, ?, utc_timestamp(6)))";
