/**
 * What handlers have answered, as an inbox keeps it in its database. All of it belongs to one consumer. As `InboxStore`, it opens nothing and ends
 * nothing.
 */
import type { OwnedTx, Statements } from "@waybill/sql";
import type { MessagePrint } from "./inbox-store.ts";

/** Answers to deliveries and answers to calls are kept apart: their ids may be the same. */
export type ResultOrigin = "message" | "request";

export interface KeptResult {
  readonly fingerprint: string;
  /** null: whoever was to keep it has ended its transaction before. */
  readonly json: string | null;
}

export interface ResultStore {
  /**
   * Inserts the row of a request, or tells what was answered to it. Rejects if another unit has it: `isBusy` knows the error. Nearly always at once;
   * where two come in the same moment it may wait, on MySQL as long as the other takes.
   */
  claim(tx: OwnedTx, print: MessagePrint): Promise<"claimed" | KeptResult>;
  isBusy(error: Error): boolean;
  /** Keeps an answer, in the unit of its effects. */
  keep(tx: OwnedTx, origin: ResultOrigin, print: MessagePrint, json: string): Promise<void>;
  /** What was answered, by id. Nothing for those of which nothing is kept. */
  read(
    statements: Pick<Statements, "query">,
    origin: ResultOrigin,
    messageIds: readonly string[],
  ): Promise<ReadonlyMap<string, KeptResult>>;
  /** Removes what was kept more than `olderThanMs` ago by the database's clock, the oldest, at most `rowsMax`. Answers how many. */
  remove(statements: Statements, olderThanMs: number, rowsMax: number): Promise<number>;
}
