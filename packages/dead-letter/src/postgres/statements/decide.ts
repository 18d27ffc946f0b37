import type { Identifier } from "@waybill/sql";

/**
 * An operator's decision: sets rows to $1, comparing their old state.
 *
 * $1 released or discarded · $2, $3 the old states it may follow · $4, $5, $6, $7 origins, readers, sequences and message ids of the
 * rows, side by side.
 *
 * The rows are locked in the order of the primary key; a reader that is at one is waited for. Answers those that were changed: one
 * that is missing was not in an old state any more. Served by the primary key.
 */
export const decideDeadLetters = (letters: Identifier): string => `
  with found as materialized (
    select letter.origin, letter.reader, letter.sequence, letter.message_id
    from unnest($4::text[], $5::text[], $6::bigint[], $7::text[]) as chosen (origin, reader, sequence, message_id)
    join ${letters} as letter
      on letter.origin = chosen.origin and letter.reader = chosen.reader
      and letter.sequence = chosen.sequence and letter.message_id = chosen.message_id
    where letter.state in ($2, $3)
    order by letter.origin, letter.reader, letter.sequence, letter.message_id
    for update of letter
  )
  update ${letters} as letter
  set state      = $1,
      decided_at = case when $1 = 'discarded' then clock_timestamp() end
  from found
  where letter.origin = found.origin and letter.reader = found.reader
    and letter.sequence = found.sequence and letter.message_id = found.message_id
    and letter.state in ($2, $3)
  returning letter.origin, letter.reader, letter.sequence::text as sequence, letter.message_id`;
