import type { Identifier } from "@waybill/sql";

/**
 * An operator's decision: sets rows to $1, comparing their old state.
 *
 * $1 released or discarded · $2, $3 the old states it may follow · $4, $5, $6, $7 origins, readers, sequences and message ids of the
 * rows, side by side.
 *
 * A reader that is at a row is waited for. Answers those that were changed: one that is missing was not in an old state any more.
 * Served by the primary key.
 */
export const decideDeadLetters = (letters: Identifier): string => `
  update ${letters} as letter
  set state      = $1,
      decided_at = case when $1 = 'discarded' then clock_timestamp() end
  from unnest($4::text[], $5::text[], $6::bigint[], $7::text[]) as chosen (origin, reader, sequence, message_id)
  where letter.origin = chosen.origin and letter.reader = chosen.reader
    and letter.sequence = chosen.sequence and letter.message_id = chosen.message_id
    and letter.state in ($2, $3)
  returning letter.origin, letter.reader, letter.sequence::text as sequence, letter.message_id, letter.position::text as position`;
