/**
 * The source over Kafka: a member of a consumer group that hands records over as they lie in the log, a key at a time, and commits what is
 * settled.
 *
 *     consuming ──the consumer fails, or is taken for dead──▶ wait ──▶ consuming, with a new consumer
 *         │                                                     └── `rebuildsMax` in a row without progress ──▶ consume rejects
 *         └──the signal aborts──▶ handlers end, commit, leave ──▶ consume resolves
 *
 * At least once: what was handled and not committed – a crash, a rebalance, a failed commit – is delivered again, and offsets repeat and
 * skip by design. Effects are committed once by the inbox, which knows messages by their ids and never by their offsets.
 */
import { backoffMs, emit, isWaybillError, type Source, throwConfigProblems, wait } from "@waybill/core";
import { runSession } from "./consumer-session.ts";
import { createHandlerCalls } from "./handler-calls.ts";
import { openConsumerClient } from "./open-consumer-client.ts";
import { type KafkaSourceOptions, sourceSettings } from "./source-options.ts";

const rebuildBackoff = { firstMs: 1_000, maxMs: 30_000 } as const;

/**
 * Makes a source. Opens nothing until it is consumed, by one consumer at a time.
 *
 * @throws WAYBILL_CONFIG_INVALID with every problem
 */
export function kafkaSource(options: KafkaSourceOptions): Source {
  const settings = sourceSettings(options);
  const { connection, groupId, onEvent, rebuildsMax } = settings;
  const { clock, random } = connection;
  const client = openConsumerClient(connection, settings);
  const of = { system: "kafka", group: groupId } as const;
  let isConsuming = false;

  return {
    async consume(handle, { signal }) {
      if (isConsuming) throwConfigProblems("The Kafka source", [{ option: "consume", problem: "is under way: a source has one consumer" }]);
      if (signal.aborted) return;
      isConsuming = true;
      const calls = createHandlerCalls(handle, clock, settings.inFlightMax);
      let failures = 0;
      const onSettled = (): void => {
        if (failures > 0) emit(onEvent, { ...of, name: "source.recovered" });
        failures = 0;
      };
      try {
        while (!signal.aborted) {
          const end = await runSession({ client, calls, settings, clock, random, signal, onSettled });
          if (end.kind === "stopped") break;
          if (isWaybillError(end.error, "WAYBILL_CONFIG_INVALID")) throw end.error;
          failures = end.hasProgressed ? 1 : failures + 1;
          if (failures > rebuildsMax) throw end.error;
          const afterMs = backoffMs(rebuildBackoff, failures, random);
          emit(onEvent, { ...of, name: "source.rebuilding", reason: end.reason, attempt: failures, afterMs });
          await wait(clock, afterMs, signal);
        }
        emit(onEvent, { ...of, name: "source.stopped" });
      } finally {
        isConsuming = false;
      }
    },
  };
}
