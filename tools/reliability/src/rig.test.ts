import { waitUntil } from "@waybill/testing";
import { describe, expect, it } from "vitest";
import { runRig } from "./rig.ts";
import type { Servers } from "./servers.ts";

const servers: Servers = {
  database: { url: "postgres://localhost/none", name: "none", started: null },
  broker: { kind: "rabbitmq", url: "amqp://localhost", name: "none", started: null, ctl: null, doors: { relays: null, consumers: null } },
};
const run = (play: Parameters<typeof runRig>[1]) =>
  runRig(
    {
      pair: { database: { server: "postgres" }, broker: { server: "rabbitmq" } },
      servers,
      seed: 1,
      say: () => undefined,
      signal: new AbortController().signal,
    },
    play,
  );

describe("a run", () => {
  it("that gives up a wait is not valid, and says what it waited for", async () => {
    const outcome = await run(async () => void (await waitUntil(() => false, { what: "it happens", deadlineMs: 1 })));
    expect(outcome.verdict).not.toBe("valid");
    expect(outcome.reasons.join()).toContain("Waited 1 ms in vain until it happens.");
  });

  it("closes what it opened, last first, also when it is wrong itself", async () => {
    const closed: number[] = [];
    const wrong = run(async (rig) => {
      for (const one of [1, 2]) rig.defer(async () => closed.push(one));
      throw new TypeError("wrong");
    });
    await expect(wrong).rejects.toThrow("wrong");
    expect(closed).toEqual([2, 1]);
  });
});
