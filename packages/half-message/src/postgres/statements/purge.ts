import type { Identifier } from "@waybill/sql";

/** Locks at most $1 half messages whose time has come. Served by the purge index. */
export const findDueRows = (halfMessages: Identifier): string => `
  select producer, id, body_purged_at is not null as is_tombstone
  from ${halfMessages}
  where purge_at <= clock_timestamp()
  order by purge_at
  limit $1
  for update skip locked`;

/**
 * What is left of the deliveries of $1, a JSON array of producer and id: one row for each that has any. They are locked, so that none is redriven between
 * this look and their removal. Served by the index on both.
 */
export const deliveriesLeft = (deliveries: Identifier): string => `
  with locked as materialized (
    select d.producer, d.id, d.state, d.dead_at
    from json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
    join ${deliveries} d on d.producer = k.producer and d.id = k.id
    order by d.seq
    for update of d
  )
  select producer, id, bool_or(state in ('pending', 'awaiting_ack')) as is_open,
         (extract(epoch from clock_timestamp() - max(dead_at)) * 1000)::float8 as dead_for_ms
  from locked
  group by producer, id`;

/** Removes the attempts at the deliveries of $1, a JSON array of producer and id. */
export const removeAttempts = (attempts: Identifier, deliveries: Identifier): string => `
  delete from ${attempts} a
  using json_to_recordset($1::json) as k (producer text collate "C", id text collate "C"), ${deliveries} d
  where d.producer = k.producer and d.id = k.id and a.delivery_seq = d.seq`;

/** Removes the rows of $1, a JSON array of producer and id, from deliveries, bodies or half messages. */
export const removeOf = (table: Identifier): string => `
  delete from ${table} t
  using json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
  where t.producer = k.producer and t.id = k.id`;

/** Makes tombstones of $1, a JSON array of producer and id, until $2 ms after their decision. */
export const bury = (halfMessages: Identifier): string => `
  update ${halfMessages} h
  set body_purged_at = clock_timestamp(),
      purge_at       = h.decided_at + $2::float8 * interval '1 millisecond'
  from json_to_recordset($1::json) as k (producer text collate "C", id text collate "C")
  where h.producer = k.producer and h.id = k.id and h.decided_at is not null`;

/** Looks at half message $1, $2 again in $3 ms. */
export const postpone = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set purge_at = clock_timestamp() + $3::float8 * interval '1 millisecond'
  where producer = $1 and id = $2 and decided_at is not null`;

/** Of the oldest $2 entries of the log, removes those that are older than $1 ms. Served by the primary key. */
export const removeLog = (log: Identifier): string => `
  delete from ${log}
  where seq in (select seq from ${log} order by seq limit $2)
    and at < clock_timestamp() - $1::float8 * interval '1 millisecond'`;

/** Removes at most $1 nonces whose time is over. Served by the index on it. */
export const removeNonces = (nonces: Identifier): string => `
  delete from ${nonces}
  where (key_id, nonce) in (
    select key_id, nonce from ${nonces} where expires_at < clock_timestamp() order by expires_at limit $1 for update skip locked)`;
