import type { Identifier } from "@waybill/sql";
import { eitherKey } from "./repeated.ts";

/** Locks at most so many half messages whose time has come. Served by the purge index. */
export const findDueRows = (halfMessages: Identifier): string => `
  select producer, id, body_purged_at is not null as is_tombstone
  from ${halfMessages} force index (\`purge\`)
  where purge_at <= utc_timestamp(6)
  order by purge_at
  limit ?
  for update skip locked`;

/**
 * What is left of the deliveries of so many half messages, by producer and id: one row for each that has any. They are locked, so that none is redriven
 * between this look and their removal. Served by the index on both.
 */
export const deliveriesLeft = (deliveries: Identifier, count: number): string => `
  select producer, id, max(state in ('pending', 'awaiting_ack')) as is_open,
         timestampdiff(microsecond, max(dead_at), utc_timestamp(6)) / 1000 as dead_for_ms
  from ${deliveries}
  where ${eitherKey(count)}
  group by producer, id
  for update`;

/** Removes the attempts at the deliveries of so many half messages, by producer and id. */
export const removeAttempts = (attempts: Identifier, deliveries: Identifier, count: number): string => `
  delete a
  from ${deliveries} d
  join ${attempts} a on a.delivery_seq = d.seq
  where ${eitherKey(count)}`;

/** Removes the rows of so many half messages, by producer and id, from deliveries, bodies or half messages. */
export const removeOf = (table: Identifier, count: number): string => `
  delete from ${table}
  where ${eitherKey(count)}`;

/** Makes tombstones, until so many milliseconds after their decision, of so many half messages, by producer and id. */
export const bury = (halfMessages: Identifier, count: number): string => `
  update ${halfMessages}
  set body_purged_at = utc_timestamp(6),
      purge_at       = decided_at + interval (? * 1000) microsecond
  where ${eitherKey(count)} and decided_at is not null`;

/** Looks again in so many milliseconds at a half message, by producer and id. */
export const postpone = (halfMessages: Identifier): string => `
  update ${halfMessages}
  set purge_at = utc_timestamp(6) + interval (? * 1000) microsecond
  where producer = ? and id = ? and decided_at is not null`;

/** The oldest entries of the log, at most so many, that are older than so many milliseconds. Served by the primary key. */
export const findOldLog = (log: Identifier): string => `
  select seq
  from (select seq, at from ${log} order by seq limit ?) oldest
  where at < utc_timestamp(6) - interval (? * 1000) microsecond`;

/** Removes the entries of the log from the oldest to the one so numbered. */
export const removeLog = (log: Identifier): string => `
  delete from ${log}
  where seq <= ? and at < utc_timestamp(6) - interval (? * 1000) microsecond`;

/** Removes at most so many nonces whose time is over. Served by the index on it. */
export const removeNonces = (nonces: Identifier): string => `
  delete from ${nonces}
  where expires_at < utc_timestamp(6)
  order by expires_at
  limit ?`;
