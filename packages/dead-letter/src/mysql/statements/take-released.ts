import type { Identifier } from "@waybill/sql";

/**
 * The first open rows of a lane of origin ?1 and reader ?2, in their order, without what they carry, not locked.
 *
 * ?3 digest of the lane, or null for the one message without key that ?7 and ?8 name · ?4 the most rows · ?5, ?6 origin and reader again · ?7
 * sequence and ?8 message id of the message without key.
 *
 * No row: the lane has no open row. Served by the index of lanes, or the primary key.
 */
export const takeReleased = (letters: Identifier): string => `
  select first.position, first.state, first.bytes
  from (
    (select sequence, position, state, coalesce(octet_length(payload), octet_length(payload_bytes), 0) as bytes
     from ${letters} force index (lane)
     where origin = ? and reader = ?
       and open_lane = ?
     order by origin, reader, open_lane, sequence, position
     limit ?)
    union all
    (select sequence, position, state, 0
     from ${letters}
     where origin = ? and reader = ?
       and sequence = cast(? as signed) and message_id = ?
       and \`key\` is null
       and state = 'released')
  ) as first
  order by first.sequence, first.position`;
