/**
 * A transport module for `waybill relay`, as its loader expects one: holds nothing, confirms everything after `delayMs`, or, told to fail, lets every
 * topic fail.
 */
import { setTimeout } from "node:timers/promises";
import { type PublishOutcome, type Transport, waybillError } from "@waybill/core";

interface SlowTransportOptions {
  readonly delayMs?: number;
  readonly fails?: boolean;
}

const failed: PublishOutcome = {
  kind: "retry",
  scope: "topic",
  error: waybillError("WAYBILL_TRANSPORT", "Told to fail.", { system: "slow", reason: "told", brokerCode: null }),
};
const confirmed: PublishOutcome = { kind: "confirmed" };

// oxlint-disable-next-line import/no-default-export -- how a transport module is loaded
export default function slowTransport({ delayMs = 0, fails = false }: SlowTransportOptions): Transport {
  return {
    async publish(messages) {
      if (delayMs > 0) await setTimeout(delayMs);
      return messages.map(() => (fails ? failed : confirmed));
    },
    close: () => Promise.resolve(),
  };
}
