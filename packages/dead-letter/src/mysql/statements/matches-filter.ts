import type { SqlValue } from "@waybill/sql";
import { type DeadLetterFilter, type DeadLetterPlace, filterValues, placeValues } from "../../dead-letter-filter.ts";
import { asBytes } from "../as-bytes.ts";

/**
 * The part of a condition that says which rows an operator means and after which one to go on: for `list.ts` and `find-matching.ts`.
 *
 * Text is compared as bytes: a collation would take 'orders ' for 'orders'. What is beyond a place is spelled out part by part, for a
 * comparison of whole rows is served by no index here. The table is called `letter`, so that no column is taken for what is selected under its name.
 */
export const matchesFilter = `and (? is null or letter.origin = ?)
    and (? is null or letter.reader = ?)
    and (? is null or letter.state = ?)
    and (? is null or cast(letter.topic as binary) = cast(? as binary))
    and (? is null or cast(letter.type as binary) = cast(? as binary))
    and (? is null or letter.message_id = ?)
    and (? is null or cast(letter.\`key\` as binary) = cast(? as binary))
    and (? is null or cast(letter.reason as binary) = cast(? as binary))
    and (? is null or letter.given_up_at >= timestampadd(microsecond, cast(? as signed), '1970-01-01'))
    and (? is null
         or letter.origin > ?
         or (letter.origin = ? and letter.reader > ?)
         or (letter.origin = ? and letter.reader = ? and letter.sequence > cast(? as signed))
         or (letter.origin = ? and letter.reader = ? and letter.sequence = cast(? as signed) and letter.message_id > ?))`;

/** The values of `matchesFilter`. */
export function matchesFilterValues(filter: DeadLetterFilter, after: DeadLetterPlace | null): SqlValue[] {
  const [origin = null, reader, state = null, topic = null, type = null, messageId, ...others] = filterValues(filter);
  const given = [origin, bytesOrNull(reader), state, topic, type, bytesOrNull(messageId), ...others].flatMap((value) => [value, value]);
  const [afterOrigin = null, afterReader, sequence = null, afterId] = placeValues(after);
  const beyondReader = [afterOrigin, bytesOrNull(afterReader)];
  return [...given, afterOrigin, afterOrigin, ...beyondReader, ...beyondReader, sequence, ...beyondReader, sequence, bytesOrNull(afterId)];
}

function bytesOrNull(text: string | null | undefined): Uint8Array | null {
  return text === null || text === undefined ? null : asBytes(text);
}
