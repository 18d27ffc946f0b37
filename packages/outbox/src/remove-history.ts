import { type Clock, systemClock, throwConfigProblems, wait } from "@waybill/core";
import type { Namespace, OwnedTx } from "@waybill/sql";
import type { HistoryStatements, HistoryStep, RemovedHistory } from "./history-step.ts";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { removeMysqlHistory } from "./mysql/remove-history.ts";
import { removePostgresHistory } from "./postgres/remove-history.ts";
import { dayMs, hourMs, wholeNumber } from "./upkeep-options.ts";

export interface RemoveHistoryOptions {
  readonly space: Namespace;
  /** Default `default`. */
  readonly stream?: string;
  /**
   * Answers the id below which no subscription needs anything: each was confirmed, or is dead. Asked in each step's own transaction, under the
   * lock of the stream's row: take that lock before you make a subscription, or set one back, below the mark. Nothing at or above it is touched.
   */
  readonly lowWaterMark: (tx: Pick<OwnedTx, "query">) => Promise<bigint>;
  /** Milliseconds for which rows are kept at least. Default 1 day, at least 1 hour: longer than any insert may run. More costs disk and allows a longer replay. */
  readonly retentionMs?: number;
  /** Milliseconds for which a caller's own id is remembered. Default 7 days. */
  readonly idRetentionMs?: number;
  /** Rows of one step. Default 1 000, at most 10 000. */
  readonly rowsMax?: number;
  /** Milliseconds for one step. Default 15 000. */
  readonly deadlineMs?: number;
  /** Called after each step but the last with what it took; false ends the pass. Default: waits nine times as long, at least 20 ms. */
  readonly pause?: (tookMs: number) => Promise<boolean>;
  readonly onStep?: (step: HistoryStep) => void;
  /** Default: the host's. */
  readonly clock?: Clock;
}

/** Between two steps: a tenth of the time at most is spent on removing. */
const pauseMsMin = 20;
const pauseShare = 9;

/**
 * Removes what every subscription has passed and what is old enough, in bounded steps with pauses between them. Any number of callers may do so at
 * once; one works, the others answer `busy`. A crash at any moment leaves nothing half removed; call it again.
 *
 * On MySQL and MariaDB history goes by ranges of the primary key. On PostgreSQL it goes by partitions, whole, and by ranges only where a
 * partition takes longer than twice `retentionMs` to fill: up to a partition's worth more than `retentionMs` is kept.
 *
 * The edge: rows leave in the order of their ids, so one that claims to be younger than its neighbours keeps what comes after it.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
 */
export async function removeHistory(statements: HistoryStatements, options: RemoveHistoryOptions): Promise<RemovedHistory> {
  const { space, stream = defaultStream, lowWaterMark, clock = systemClock, onStep = () => undefined } = options;
  const { retentionMs = dayMs, idRetentionMs = 7 * dayMs, rowsMax = 1_000, deadlineMs = 15_000 } = options;
  const { pause = (tookMs) => wait(clock, Math.max(pauseMsMin, pauseShare * tookMs)) } = options;
  throwConfigProblems("Removing history", [
    ...wholeNumber("retentionMs", retentionMs, hourMs),
    ...wholeNumber("idRetentionMs", idRetentionMs, dayMs),
    ...wholeNumber("rowsMax", rowsMax, 1, 10_000),
  ]);
  const remove = space.dialect === "postgres" ? removePostgresHistory : removeMysqlHistory;
  const settings = { lowWaterMark, retentionMs, idRetentionMs, rowsMax, deadlineMs, clock, pause, onStep };
  return remove(statements, ledgerTables(space, stream), stream, settings);
}
