import { signingSecret, systemClock, systemRandom } from "@waybill/core";
import { waitUntil } from "@waybill/testing";
import { expect, test } from "vitest";
import { createLane } from "./lane.ts";
import { pushAsker } from "./push.ts";

test("an asker that rejects ends no process: the check counts as not answered", async () => {
  const unhandled: unknown[] = [];
  const note = (error: unknown): void => void unhandled.push(error);
  process.on("unhandledRejection", note);
  const asker = pushAsker({
    producer: "p",
    url: "https://x.test/",
    answers: "signed",
    reach: {} as never,
    clock: systemClock,
    http: { call: () => Promise.reject(new Error("never")) } as never,
    // As loop.ts makes it of a file that holds 32 bytes or more.
    secrets: () => [signingSecret("whsec_%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%%")],
  });
  let claims = 0;
  const lane = createLane(
    {
      producer: "p",
      asker,
      checkTimeoutMs: 100,
      checkBatch: 5,
      checkConcurrency: 1,
      schedule: {
        pendingDelaysMs: [50],
        unansweredBackoff: { firstMs: 50, maxMs: 50 },
        suspendedCheckMs: 50,
        unfencedGraceMs: 50,
        leaseMs: 1_000,
      },
      breaker: { failuresMax: 5, firstMs: 50, maxMs: 50 },
    },
    {
      store: {
        claimChecks: async () =>
          claims++ === 0 ? [{ id: "a", barrier: null, checkNumber: 1, token: "1", ageMs: 1, traceparent: null }] : [],
        releaseChecks: async () => undefined,
      },
      database: {} as never,
      clock: systemClock,
      random: systemRandom,
      onEvent: undefined,
      writer: {} as never,
      alerts: {} as never,
      metrics: { set: () => undefined, add: () => undefined } as never,
      onDecided: () => undefined,
    },
  );
  lane.pump();
  await waitUntil(() => lane.silentSinceMs() !== null, { what: "the call's end" });
  await lane.stop();
  process.off("unhandledRejection", note);
  expect(unhandled).toEqual([]);
});
