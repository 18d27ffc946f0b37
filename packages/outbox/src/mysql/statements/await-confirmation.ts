import type { Identifier } from "@waybill/sql";

/**
 * Keeps copies of `count` messages until a consumer confirms them. ? of the first: consumer, stream, milliseconds that it has, the same in microseconds,
 * message id, type, topic, key, headers, payload, payload_bytes; then of the next, and so on.
 */
export const awaitConfirmation = (confirmations: Identifier, count: number): string => `
  insert into ${confirmations} (consumer, stream, within_ms, due_at, message_id, type, topic, \`key\`, headers, payload, payload_bytes)
  values ${Array.from({ length: count }, () => "(?, ?, ?, timestampadd(microsecond, ?, utc_timestamp(6)), ?, ?, ?, ?, ?, ?, ?)").join(",\n    ")}`;
