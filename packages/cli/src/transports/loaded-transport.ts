import type { Transport } from "@waybill/core";
import type { ListedTopic } from "@waybill/outbox";
import type { Finding } from "../finding.ts";

export interface LookOptions {
  /** Those that messages go to. */
  readonly topics: readonly ListedTopic[];
  readonly deadlineMs: number;
}

export interface LoadedTransport {
  readonly transport: Transport;
  /** Tells it from others without showing credentials. */
  readonly name: string;
  /** Messages in one call, where nobody says otherwise; null: the relay's own default. */
  readonly batchMax: number | null;
  /**
   * Looks at the topics of the configuration before anything is published, and answers what is doubtful; null: there is nothing to look at.
   *
   * Rejects with WAYBILL_TOPOLOGY where messages would be lost, WAYBILL_TRANSPORT where it could not look.
   */
  readonly check: ((deadlineMs: number) => Promise<readonly Finding[]>) | null;
  /** Looks at the broker, changes nothing and answers all that was found; null: there is none. Rejects with WAYBILL_TRANSPORT. */
  readonly look: ((options: LookOptions) => Promise<readonly Finding[]>) | null;
}
