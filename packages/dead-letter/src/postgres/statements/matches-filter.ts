/**
 * The part of a condition that says which rows an operator means and after which one to go on: for `list.ts` and `find-matching.ts`.
 *
 * From parameter `first` on: origin · reader · state · topic · type · message id · key · reason · microseconds since 1970: null asks for any ·
 * then origin, reader, sequence and message id of the last row that was seen, or four nulls. Thirteen in all.
 */
export function matchesFilter(first: number): string {
  const at = (place: number): string => `$${first + place}`;
  return `(${at(0)}::text is null or origin = ${at(0)})
    and (${at(1)}::text is null or reader = ${at(1)})
    and (${at(2)}::text is null or state = ${at(2)})
    and (${at(3)}::text is null or topic = ${at(3)})
    and (${at(4)}::text is null or type = ${at(4)})
    and (${at(5)}::text is null or message_id = ${at(5)})
    and (${at(6)}::text is null or key = ${at(6)})
    and (${at(7)}::text is null or reason = ${at(7)})
    and (${at(8)}::bigint is null or given_up_at >= timestamptz 'epoch' + ${at(8)}::bigint * interval '1 microsecond')
    and (${at(9)}::text is null or (origin, reader, sequence, message_id) > (${at(9)}, ${at(10)}, ${at(11)}::bigint, ${at(12)}))`;
}
