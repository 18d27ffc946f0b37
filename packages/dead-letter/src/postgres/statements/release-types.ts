import type { Identifier } from "@waybill/sql";

/**
 * dead → released for rows of reader $2 of origin $1 that were given up for reason $3 and whose type is one of $4, the first $5 by
 * sequence: what gave them up has been put right.
 *
 * A row that an operator is deciding about is left to the next time. No row: none is left. Served by the index of open rows.
 */
export const releaseTypes = (letters: Identifier): string => `
  with found as materialized (
    select sequence, message_id
    from ${letters}
    where origin = $1 and reader = $2
      and state = 'dead'
      and reason = $3
      and type = any($4::text[])
    order by sequence, message_id
    limit $5
    for update skip locked
  )
  update ${letters} as letter
  set state = 'released'
  from found
  where letter.origin = $1 and letter.reader = $2
    and letter.sequence = found.sequence and letter.message_id = found.message_id
    and letter.state = 'dead'
  returning letter.sequence::text as sequence, letter.message_id`;
