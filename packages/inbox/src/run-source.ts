/**
 * A source under supervision.
 *
 *     consuming ──fails──▶ backoff ──▶ consuming again       ──fails `sourceFailuresMax` times, nothing done between──▶ rejects
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
    if (engine.failures.source !== null) engine.failures.source.againSinceMs = clock.monotonicMs();
    try {
      await source.consume(
        async (batch) => {
          const processed = await deliveries.process(batch, life);
          // Not what is delivered counts: a source that brings the same again and again, and fails each time, gets nowhere.
          if (processed.some(({ kind }) => kind === "done")) failures = 0;
          return processed;
        },
        { signal: life.stop },
      );
      return;
    } catch (error) {
      if (life.stop.aborted) return; // It was told to end; what it had not settled comes again.
      failures += 1;
      if (failures >= sourceFailuresMax) throw error;
      const afterMs = backoffMs(backoff, failures, random);
      engine.failures.source = { code: codeOf(error), againSinceMs: null };
      engine.report({ name: "inbox.sourceFailed", code: codeOf(error), afterMs });
      await wait(clock, afterMs, life.stop);
    }
  }
}
