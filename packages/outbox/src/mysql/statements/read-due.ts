import type { Identifier } from "@waybill/sql";

/**
 * The first ? messages that are due, in the order in which they are to be moved, without their payloads: id, which of the rows of `waybill_key_lock`
 * their key has (null without one), bytes of the payload, and for how many milliseconds they have been due.
 *
 * `locks` and `ids` are passed over: somebody holds them. They are whole numbers and nothing else. Served by the index on (due_at, id), from its
 * beginning.
 */
export const readDue = (delayed: Identifier, locks: readonly bigint[], ids: readonly bigint[]): string => `
  select
    id,
    case when \`key\` is not null then ${lock} end as \`lock\`,
    coalesce(octet_length(payload), octet_length(payload_bytes), 0) as bytes,
    timestampdiff(microsecond, due_at, utc_timestamp(6)) / 1000 as late_ms
  from ${delayed}
  where due_at <= utc_timestamp(6)
    and (\`key\` is null or ${lock} not in (${listOf(locks)}))
    and id not in (${listOf(ids)})
  order by due_at, id
  limit ?`;

/** As `serialiseKey` has it: the CRC-32 of topic, space and key in UTF-8. */
const lock = "crc32(concat(topic, ' ', `key`)) mod 1024";

/** Ids and locks begin at 0: -1 is none of them, and a list cannot be empty. */
function listOf(numbers: readonly bigint[]): string {
  return [-1n, ...numbers].join(", ");
}
