import type { Transport } from "@waybill/core";

export interface LoadedTransport {
  readonly transport: Transport;
  /** Tells it from others without showing credentials. */
  readonly name: string;
  /** Messages in one call, where nobody says otherwise; null: the relay's own default. */
  readonly batchMax: number | null;
  /**
   * Looks at the broker before anything is published; null: there is nothing to look at.
   *
   * Rejects with WAYBILL_TOPOLOGY where messages would be lost, WAYBILL_TRANSPORT where it could not look.
   */
  readonly check: ((deadlineMs: number) => Promise<void>) | null;
}
