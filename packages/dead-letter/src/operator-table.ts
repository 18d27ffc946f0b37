import type { OwnedTx, Row, Statements } from "@waybill/sql";
import type { DeadLetterFilter, DeadLetterPlace } from "./dead-letter-filter.ts";
import type { DeadLetterOrigin, DeadLetterState } from "./dead-letters.ts";

/** A row that an operator's decision is about. */
export interface FoundLetter extends DeadLetterPlace {
  /** Its order of writing: no two rows have the same. */
  readonly position: bigint;
}

/** A change of state, and the two states it may follow. */
export interface StateChange {
  readonly to: Extract<DeadLetterState, "released" | "discarded">;
  readonly from: readonly [DeadLetterState, DeadLetterState];
}

/** The statements of the table for operators' commands. */
export interface OperatorTable {
  /** Rows without what they carry, by origin, reader, sequence and message id, beyond `after`, at most `rowsMax`. */
  list(
    statements: Pick<Statements, "query">,
    filter: DeadLetterFilter,
    after: DeadLetterPlace | null,
    rowsMax: number,
  ): Promise<readonly Row[]>;
  /** What the rows with a message id carry, at most `rowsMax`, in the same order. */
  show(
    statements: Pick<Statements, "query">,
    messageId: string,
    filter: Pick<DeadLetterFilter, "origin" | "reader">,
    rowsMax: number,
  ): Promise<readonly Row[]>;
  /** In the same order the rows that are in an old state of `change`, not locked. Fewer than `rowsMax`: there are no more. */
  findMatching(
    statements: Pick<Statements, "query">,
    change: StateChange,
    filter: DeadLetterFilter,
    after: DeadLetterPlace | null,
    rowsMax: number,
  ): Promise<readonly FoundLetter[]>;
  /** Changes those that are still in an old state, and answers them. A reader that is at a row is waited for. */
  decide(tx: OwnedTx, change: StateChange, letters: readonly FoundLetter[]): Promise<readonly FoundLetter[]>;
}

/** A row of `find-matching.ts`. */
export function toFoundLetter(row: Row): FoundLetter {
  return {
    origin: String(row.origin) as DeadLetterOrigin,
    reader: String(row.reader),
    sequence: BigInt(String(row.sequence)),
    messageId: String(row.message_id),
    position: BigInt(String(row.position)),
  };
}
