import { manualClock, seededRandom } from "@waybill/testing";
import { expect, test } from "vitest";
import { runChecks } from "./run-checks.ts";
import type { ServiceAnswer } from "./service-client.ts";

test("a service that has nothing and says so at once is asked again after a second, not without a pause", async () => {
  const clock = manualClock();
  const stop = new AbortController();
  let claims = 0;
  const nothing: ServiceAnswer = { kind: "answered", status: 200, body: { leaseMs: 1_000, checks: [] }, code: null, retryAfterMs: null };
  const running = runChecks({
    client: {
      call: async () => {
        claims += 1;
        if (claims > 100) stop.abort();
        return nothing;
      },
    } as never,
    producer: "payments",
    answer: () => Promise.resolve([]),
    callTimeoutMs: 1_000,
    clock,
    random: seededRandom(1),
    onEvent: undefined,
    signal: stop.signal,
  });
  await clock.advance(3_500);
  stop.abort();
  await running;
  expect(claims).toBe(4);
});
