import type { Identifier } from "@waybill/sql";

/**
 * dead → released for rows of reader $2 of origin $1 that were given up for reason $3 and whose type is one of $4, the first $5 by
 * sequence: what gave them up has been put right.
 *
 * A row that somebody else is at, or was since the statement began, is left to the next time. No row: none is left. Served by the index of dead rows.
 */
export const releaseTypes = (letters: Identifier): string => `
  update ${letters}
  set state = 'released'
  where ctid = any (array(
          select ctid
          from ${letters}
          where origin = $1 and reader = $2
            and state = 'dead'
            and reason = $3
            and type = any($4::text[])
          order by sequence, message_id
          limit $5
          for update skip locked
        ))
    and state = 'dead'
  returning sequence::text as sequence, message_id`;
