import type { Namespace, Statements } from "@waybill/sql";
import { createOperatorTable } from "./create-operator-table.ts";
import type { DeadLetterFilter } from "./dead-letter-filter.ts";
import { type ListedDeadLetter, listDeadLetters } from "./list-dead-letters.ts";
import { bytesOf, textOrNull } from "./released-letter.ts";

/** A dead letter with what it carries. */
export interface ShownDeadLetter extends ListedDeadLetter {
  /** JSON text of an object of strings, as stored; it may be anything if that is why it was given up. */
  readonly headers: string | null;
  /** Text as stored, or bytes; null: a tombstone. */
  readonly payload: string | Uint8Array | null;
}

/** A message that several readers gave up has a row for each. */
const rowsMax = 100;

/**
 * Shows the dead letters with a message id, one for each reader that has it, with headers and payload: for an operator's screen, and for no log.
 * At most 100.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function showDeadLetters(
  statements: Pick<Statements, "query">,
  space: Namespace,
  messageId: string,
  filter: Pick<DeadLetterFilter, "origin" | "reader"> = {},
): Promise<readonly ShownDeadLetter[]> {
  const listed = await listDeadLetters(statements, space, { ...filter, messageId, limit: rowsMax });
  const placeOf = (origin: unknown, reader: unknown, sequence: unknown): string => [origin, reader, sequence].map(String).join("\u0000");
  const rows = await createOperatorTable(space).show(statements, messageId, filter, rowsMax);
  const carried = new Map(rows.map((row) => [placeOf(row.origin, row.reader, row.sequence), row]));
  return listed.flatMap((letter) => {
    const row = carried.get(placeOf(letter.origin, letter.reader, letter.sequence));
    return row === undefined ? [] : [{ ...letter, headers: textOrNull(row.headers), payload: bytesOf(row) ?? textOrNull(row.payload) }];
  });
}
