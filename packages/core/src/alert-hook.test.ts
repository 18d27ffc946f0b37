import { expect, test } from "vitest";
import { createAlertHook } from "./alert-hook.ts";
import { systemClock } from "./clock.ts";
import type { HttpCaller } from "./http-caller.ts";
import { systemRandom } from "./random.ts";
import { signingSecret } from "./signature.ts";

const alert = { kind: "k", subject: "s", detail: "d" } as never;

function hookOver(http: HttpCaller) {
  const notTold: [attempts: number, reason: string][] = [];
  const stop = new AbortController();
  const hook = createAlertHook({
    url: "https://hook.example/",
    secrets: () => [signingSecret(`whsec_${Buffer.alloc(32, 7).toString("base64")}`)],
    http,
    reach: {},
    attemptsMax: 2,
    backoff: { firstMs: 1, maxMs: 1 },
    clock: systemClock,
    random: systemRandom,
    onTold: () => undefined,
    onNotTold: (_, attempts, reason) => {
      notTold.push([attempts, reason]);
      stop.abort();
    },
  });
  return { hook, stop, notTold };
}

test.each([
  [
    "throws",
    () => {
      throw new TypeError("quotes anything");
    },
  ],
  ["rejects", () => Promise.reject(new TypeError("quotes anything"))],
] as const)("a call that %s is one that failed: it is made again, given up, and ends nothing", async (_, call) => {
  const { hook, stop, notTold } = hookOver({ call });
  hook.tell(alert);
  await hook.run(stop.signal);
  expect(notTold).toEqual([[2, "callThrew"]]);
});

test("what is told to a hook after its end is said not to be told", async () => {
  const { hook, stop, notTold } = hookOver({ call: () => Promise.resolve({ kind: "notSent", reason: "none" }) });
  stop.abort();
  await hook.run(stop.signal);
  hook.tell(alert);
  expect(notTold).toEqual([[0, "stopping"]]);
});
