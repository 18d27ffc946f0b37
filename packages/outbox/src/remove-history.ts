import { type ConfigProblem, throwConfigProblems } from "@waybill/core";
import { committedValue, type Namespace, type Units } from "@waybill/sql";
import { defaultStream, ledgerTables } from "./ledger-tables.ts";
import { type RemovedHistory, removeOnce } from "./mysql/remove-history.ts";

export interface RemoveHistoryOptions {
  readonly space: Namespace;
  /** Default `default`. */
  readonly stream?: string;
  /** Ids below it are needed by no subscription: each was confirmed, or is dead. Nothing at or above it is touched. */
  readonly lowWaterMark: bigint;
  /** Milliseconds for which rows are kept at least. Default 1 day, at least 1 hour: longer than any insert may run. More costs disk and allows a longer replay. */
  readonly retentionMs?: number;
  /** Milliseconds for which a caller's own id is remembered. Default 7 days. */
  readonly idRetentionMs?: number;
  /** Rows of one step. Default 1 000, at most 10 000. */
  readonly rowsMax?: number;
  /** Milliseconds for one step. Default 15 000. */
  readonly deadlineMs?: number;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

/**
 * Removes the oldest history of a ledger on MySQL or MariaDB, one bounded step with each call: the caller goes on while there `isMore`, at
 * its own pace. Any number of callers may do so at once; one works, the others answer `busy`.
 *
 * The edge: rows leave in the order of their ids, so one that claims to be younger than its neighbours keeps what comes after it. On PostgreSQL
 * history is emptied by partitions instead, and this is refused.
 *
 * @throws WAYBILL_CONFIG_INVALID, WAYBILL_IDENTIFIER_INVALID, WAYBILL_DATABASE, WAYBILL_DEADLINE, WAYBILL_OUTCOME_UNKNOWN (call it again)
 */
export async function removeHistory(units: Units, options: RemoveHistoryOptions): Promise<RemovedHistory> {
  const {
    space,
    stream = defaultStream,
    lowWaterMark,
    retentionMs = dayMs,
    idRetentionMs = 7 * dayMs,
    rowsMax = 1_000,
    deadlineMs = 15_000,
  } = options;
  throwConfigProblems("Removing history", [
    ...(space.dialect === "mysql" ? [] : [{ option: "space.dialect", problem: "mysql is the dialect whose history goes by rows" }]),
    ...(typeof lowWaterMark === "bigint" && lowWaterMark >= 0n ? [] : [{ option: "lowWaterMark", problem: "an id of at least 0" }]),
    ...wholeNumber("retentionMs", retentionMs, hourMs, Number.MAX_SAFE_INTEGER),
    ...wholeNumber("idRetentionMs", idRetentionMs, dayMs, Number.MAX_SAFE_INTEGER),
    ...wholeNumber("rowsMax", rowsMax, 1, 10_000),
  ]);
  const operation = "removing history";
  const step = { lowWaterMark, retentionMs, idRetentionMs, rowsMax };
  const outcome = await units.unitOfWork((tx) => removeOnce(tx, ledgerTables(space, stream), stream, step), { operation, deadlineMs });
  return committedValue(operation, outcome);
}

function wholeNumber(option: string, value: number, min: number, max: number): ConfigProblem[] {
  return Number.isSafeInteger(value) && value >= min && value <= max ? [] : [{ option, problem: `a whole number from ${min} to ${max}` }];
}
