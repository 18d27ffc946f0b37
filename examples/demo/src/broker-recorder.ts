/**
 * Reads what a relay stored at a broker, beside the services that consume it: a reader of the auditor's own, which knows nothing of Waybill but
 * where the id travels.
 */
import type { Received, Tap } from "@waybill/auditor";
import { noteArrivals, type Recorder } from "./recorder.ts";

export interface BrokerRecorderOptions {
  /** The broker, as the relay is told. */
  readonly url: string;
  /** One JSON object per line. */
  readonly file: string;
  /** Taps the relay's topic. */
  readonly tap: (onReceived: (record: Received) => void) => Promise<Tap>;
}

export async function startBrokerRecorder({ url, file, tap }: BrokerRecorderOptions): Promise<Recorder> {
  const arrivals = noteArrivals(file);
  const tapped = await tap(arrivals.note);
  return {
    url,
    received: arrivals.received,
    distinct: arrivals.distinct,
    next: arrivals.next,
    readToEnd: () => tapped.readToEnd(),
    async close() {
      await tapped.close();
      arrivals.close();
    },
  };
}
