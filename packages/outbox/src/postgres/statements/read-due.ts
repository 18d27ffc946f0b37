import type { Identifier } from "@waybill/sql";

/**
 * The first $3 messages that are due, in the order in which they are to be moved, without their payloads: id, what `serialiseKey` locks for
 * their key (null without one), bytes of the payload, and for how many milliseconds they have been due.
 *
 * $1 locks and $2 ids to pass over: somebody holds them. Served by the index on (due_at, id), from its beginning. `statement_timestamp()`, because
 * a clock that moves during the statement could not be looked up in an index.
 */
export const readDue = (delayed: Identifier): string => `
  select
    id::text as id,
    topic || ' ' || key as lock,
    coalesce(octet_length(payload), octet_length(payload_bytes), 0) as bytes,
    (extract(epoch from statement_timestamp() - due_at) * 1000)::float8::text as late_ms
  from ${delayed}
  where due_at <= statement_timestamp()
    and (key is null or topic || ' ' || key <> all ($1::text[]))
    and id <> all ($2::bigint[])
  order by due_at, id
  limit $3::bigint`;
