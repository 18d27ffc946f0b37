import type { Identifier } from "@waybill/sql";
import { amongKeys } from "./repeated.ts";

/**
 * When so many rows, by producer and id, were decided: each as often as it has messages that go out, with where they go, and once with nulls if it has none. In the
 * order of producer, id and message. Served by the primary keys.
 */
export const readDecided = (halfMessages: Identifier, bodies: Identifier, counts: readonly number[]): string => `
  select h.producer, h.id, timestampdiff(microsecond, '1970-01-01', h.decided_at) / 1000 as decided_at_ms,
         b.ordinal, b.message_id, b.\`key\`, b.business_key, b.delay_ms, b.destinations
  from ${halfMessages} h
  left join ${bodies} b on h.state = 'committed' and b.producer = h.producer and b.id = h.id
  where ${amongKeys(counts, "h.")}
  order by h.producer, h.id, b.ordinal`;
