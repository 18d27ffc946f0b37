/**
 * A tap: an independent reader of everything that a broker stores, beside the consumers under test. What it saw is the received side of a
 * history.
 */
import type { Received } from "./history.ts";

export interface Tap {
  /** In order of arrival, as far as it has read. */
  readonly received: readonly Received[];
  /**
   * Resolves when everything is read that the broker held when this was called. Rejects with `AuditInputError` if that does not happen
   * within `deadlineMs` (default 60 000): a log that is not whole looks like losses.
   */
  readToEnd(options?: { readonly deadlineMs?: number }): Promise<void>;
  /** Stops reading and closes the connection. What was made for the tap alone is removed. */
  close(): Promise<void>;
}

export interface TapOptions {
  /** Whose publications they are: the name of the subscription in the history. */
  readonly subscription: string;
  /** Called for each record before the next is read: to log it to disk, or to time a fault by it. */
  readonly onReceived?: (record: Received) => void;
}
