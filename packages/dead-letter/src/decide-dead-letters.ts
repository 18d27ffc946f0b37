/**
 * What operators may do to dead letters: redrive and discard, nothing else.
 *
 *     find a page of rows ──▶ unit: set those still in an old state, a line of audit for each ──▶ next page, beyond the last row found
 *
 * A page is found without locks and decided by comparing states, so a reader that is at a row is waited for, and a row that changed
 * meanwhile is left as it is and not counted. Going on beyond the last row *found* ends the walk even if rows come back while it runs.
 */
import { committedValue, type Database, type Namespace, type OwnedTx, writeAudit } from "@waybill/sql";
import { createOperatorTable } from "./create-operator-table.ts";
import { checkLimit, type DeadLetterFilter, type DeadLetterPlace } from "./dead-letter-filter.ts";
import type { FoundLetter, OperatorTable, StateChange } from "./operator-table.ts";

/** Who decides and why: kept in the audit with every row. */
export interface DecisionOptions {
  readonly who: string;
  readonly why: string | null;
  /** Count only. Default false. */
  readonly dryRun?: boolean;
  /** Rows in one transaction. Default 200, at most 1 000. More is faster and makes readers wait longer. */
  readonly batchRows?: number;
}

export interface Decided {
  /** Rows that were changed, or, in a dry run, that would be if nothing changes before. */
  readonly rows: number;
}

/**
 * Puts dead letters back on their way: dead → released. Their reader takes them up within about a second, in their place, and what is
 * held behind them follows. Under their old message ids: a receiver that has one already knows it again.
 *
 * @throws WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN: some rows may be released by then; calling again is safe
 */
export function redriveDeadLetters(
  database: Database,
  space: Namespace,
  filter: DeadLetterFilter,
  options: DecisionOptions,
): Promise<Decided> {
  return decide(database, space, filter, options, { what: "dead-letter.redrive", to: "released", from: ["dead", "dead"] });
}

/**
 * Closes dead letters for good: dead or held → discarded. What is held behind a discarded one goes on. A row that was released is not
 * discarded any more: it may be on the wire.
 *
 * @throws as `redriveDeadLetters`; calling again is safe
 */
export function discardDeadLetters(
  database: Database,
  space: Namespace,
  filter: DeadLetterFilter,
  options: DecisionOptions,
): Promise<Decided> {
  return decide(database, space, filter, options, { what: "dead-letter.discard", to: "discarded", from: ["dead", "held"] });
}

interface Decision extends StateChange {
  readonly what: string;
}

async function decide(
  database: Database,
  space: Namespace,
  filter: DeadLetterFilter,
  options: DecisionOptions,
  decision: Decision,
): Promise<Decided> {
  const { dryRun = false, batchRows = 200 } = options;
  checkLimit("The decision about dead letters", "batchRows", batchRows, 1_000);
  const table = createOperatorTable(space);
  let rows = 0;
  let after: FoundLetter | null = null;
  for (;;) {
    const found: readonly FoundLetter[] = await table.findMatching(database, decision, filter, after, batchRows);
    if (dryRun) rows += found.length;
    else if (found.length > 0) rows += await decideBatch(database, space, table, found, options, decision);
    after = found.at(-1) ?? null;
    if (found.length < batchRows) return { rows };
  }
}

async function decideBatch(
  database: Database,
  space: Namespace,
  table: OperatorTable,
  letters: readonly FoundLetter[],
  { who, why }: DecisionOptions,
  decision: Decision,
): Promise<number> {
  const { what } = decision;
  const work = async (tx: OwnedTx): Promise<number> => {
    const changed = await table.decide(tx, decision, letters);
    for (const place of changed) await writeAudit(tx, space, { who, what, subject: subjectOf(place), why });
    return changed.length;
  };
  return committedValue(what, await database.unitOfWork(work, { operation: what, deadlineMs: 60_000 }));
}

function subjectOf({ origin, reader, sequence, messageId }: DeadLetterPlace): string {
  return `${origin} ${reader} sequence ${sequence} message ${messageId}`;
}
