/** What removing history is told, and what it tells, on either database. */
import type { Clock } from "@waybill/core";
import type { OwnedTx, Statements, Units } from "@waybill/sql";

/** What removing history runs on: a `Database`, or a connection of its own. */
export type HistoryStatements = Units & Pick<Statements, "execute">;

export interface HistorySettings {
  /** Asked in each step's own transaction, once nobody else can do upkeep or set a subscription back. */
  readonly lowWaterMark: (tx: Pick<OwnedTx, "query">) => Promise<bigint>;
  readonly retentionMs: number;
  readonly idRetentionMs: number;
  readonly rowsMax: number;
  readonly deadlineMs: number;
  readonly clock: Clock;
  /** Between two steps, with what the last one took. False: no further one. */
  readonly pause: (tookMs: number) => Promise<boolean>;
  readonly onStep: (step: HistoryStep) => void;
}

/**
 * A step that is done, each a transaction. `removed`: rows of the ledger up to `upTo`, by a range of ids. `emptied`: a partition, whole; `low` is
 * its first id, null for the default one. `dropped`: a partition that was empty. `forgotten`: callers' own ids.
 */
export type HistoryStep =
  | { readonly kind: "removed"; readonly rows: number; readonly upTo: bigint }
  | { readonly kind: "emptied"; readonly low: bigint | null; readonly upTo: bigint }
  | { readonly kind: "dropped"; readonly low: bigint }
  | { readonly kind: "forgotten"; readonly ids: number };

/**
 * What a pass removed. `rows` by ranges of ids, `emptied` and `dropped` partitions, `ids` of callers' own.
 *
 * `hindrance`: why there may be more to remove. `busy`: somebody else does upkeep; `locked`: somebody reads what is to go; `notOwner`: our role may
 * not change the table. None: all that could go is gone, or the caller ended the pass.
 */
export interface RemovedHistory {
  readonly rows: number;
  readonly emptied: number;
  readonly dropped: number;
  readonly ids: number;
  readonly hindrance: "busy" | "locked" | "notOwner" | null;
}
