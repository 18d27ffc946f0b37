/**
 * A source under supervision.
 *
 *     consuming ──fails──▶ backoff ──▶ consuming again       ──fails `sourceFailuresMax` times, nothing delivered between──▶ rejects
 *         └──ends, or the signal aborts──▶ resolves
 */
import { backoffMs, type Source, wait } from "@waybill/core";
import { codeOf } from "./decision.ts";
import type { Engine } from "./engine.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { Deliveries } from "./process-delivery.ts";

const backoff = { firstMs: 1_000, maxMs: 30_000 } as const;

/** @throws the source's last error, when it has failed too often in a row */
export async function runSource(engine: Engine, source: Source, deliveries: Deliveries, life: Lifecycle): Promise<void> {
  const { clock, random, sourceFailuresMax } = engine.settings;
  let failures = 0;
  while (!life.stop.aborted) {
    try {
      await source.consume(
        async (batch) => {
          failures = 0;
          return deliveries.process(batch, life);
        },
        { signal: life.stop },
      );
      return;
    } catch (error) {
      if (life.stop.aborted) return; // It was told to end; what it had not settled comes again.
      failures += 1;
      if (failures >= sourceFailuresMax) throw error;
      const afterMs = backoffMs(backoff, failures, random);
      engine.report({ name: "inbox.sourceFailed", code: codeOf(error), afterMs });
      await wait(clock, afterMs, life.stop);
    }
  }
}
