import type { Namespace, Row, Statements } from "@waybill/sql";
import { createOperatorTable } from "./create-operator-table.ts";
import { checkLimit, type DeadLetterFilter, type DeadLetterPlace } from "./dead-letter-filter.ts";
import type { DeadLetter, DeadLetterOrigin, DeadLetterState } from "./dead-letters.ts";

/** A dead letter without what it carries. */
export interface ListedDeadLetter extends Omit<DeadLetter, "headers" | "payload" | "fingerprint"> {
  /** null: a tombstone. */
  readonly payloadBytes: number | null;
  /** When it became done or discarded. */
  readonly decidedAtMs: number | null;
}

export interface ListDeadLettersOptions extends DeadLetterFilter {
  /** The most rows. Default 100, at most 1 000. */
  readonly limit?: number;
  /** The last row of the page before. */
  readonly after?: DeadLetterPlace;
}

/**
 * Lists dead letters by origin, reader, sequence and message id. Payloads and headers are not read: they may be personal, and large.
 * Keys are shown; they belong on an operator's screen and in no log.
 *
 * Give origin and reader if the table is large: the order is served by its key then.
 *
 * @throws WAYBILL_CONFIG_INVALID for a limit out of bounds; WAYBILL_DATABASE, WAYBILL_DEADLINE
 */
export async function listDeadLetters(
  statements: Pick<Statements, "query">,
  space: Namespace,
  options: ListDeadLettersOptions = {},
): Promise<readonly ListedDeadLetter[]> {
  const { limit = 100, after = null } = options;
  checkLimit("The list of dead letters", "limit", limit, 1_000);
  return (await createOperatorTable(space).list(statements, options, after, limit)).map(toListed);
}

function toListed(row: Row): ListedDeadLetter {
  return {
    origin: String(row.origin) as DeadLetterOrigin,
    reader: String(row.reader),
    sequence: BigInt(String(row.sequence)),
    messageId: String(row.message_id),
    type: String(row.type),
    topic: String(row.topic),
    key: row.key as string | null,
    payloadBytes: numberOrNull(row.payload_bytes),
    createdAtMs: numberOrNull(row.created_at_ms),
    state: String(row.state) as DeadLetterState,
    reason: row.reason as string | null,
    attempts: Number(row.attempts),
    mayBeStored: Number(row.may_be_stored) === 1,
    givenUpAtMs: Number(row.given_up_at_ms),
    decidedAtMs: numberOrNull(row.decided_at_ms),
  };
}

function numberOrNull(value: unknown): number | null {
  return value === null ? null : Number(value);
}
