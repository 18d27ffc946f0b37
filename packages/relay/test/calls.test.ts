/** What a call of the transport carries, and which calls are under way beside each other. */
import type { OutgoingMessage, Transport } from "@waybill/core";
import { forEachDatabase, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn } from "./relay-fixture.ts";

/** Takes some time for each call, and counts what is under way. */
function slowTransport(): { readonly transport: Transport; published(): number; callsMax(): number; keysInTwoCalls(): number } {
  const underWay = new Set<string>();
  let calls = 0;
  let callsMax = 0;
  let keysInTwoCalls = 0;
  let published = 0;
  const transport: Transport = {
    publish: async (batch) => {
      calls += 1;
      callsMax = Math.max(callsMax, calls);
      const keys = new Set(batch.map(({ key }) => key ?? ""));
      for (const key of keys) {
        if (underWay.has(key)) keysInTwoCalls += 1;
        underWay.add(key);
      }
      await new Promise((resolve) => setTimeout(resolve, 5 + 5 * (calls % 3)));
      for (const key of keys) underWay.delete(key);
      calls -= 1;
      published += batch.length;
      return batch.map(() => ({ kind: "confirmed" }) as const);
    },
    close: () => Promise.resolve(),
  };
  return { transport, published: () => published, callsMax: () => callsMax, keysInTwoCalls: () => keysInTwoCalls };
}
await forEachDatabase((server) =>
  describe(`calls of the transport from ${server.name}`, () => {
    const it = itOn(server);

    it("calls of the transport stay within their bounds of messages and bytes, and one larger message goes alone", async ({ fixture }) => {
      const calls: (readonly OutgoingMessage[])[] = [];
      const counting: Transport = {
        publish: async (batch) => {
          calls.push(batch);
          return batch.map(() => ({ kind: "confirmed" }) as const);
        },
        close: () => Promise.resolve(),
      };
      await fixture.appendMany(60, "'orders', concat('k', n % 3), repeat('x', case when n = 30 then 9000 else 1000 end)");
      const relay = fixture.start({ transport: counting, batchMax: 7, batchBytesMax: 5_000 });
      await waitUntil(() => calls.flat().length === 60, { what: "all are published" });
      await relay.stop();
      for (const batch of calls) {
        expect(batch.length).toBeLessThanOrEqual(7);
        const bytes = batch.reduce((sum, { payload }) => sum + (payload?.length ?? 0), 0);
        expect(batch.length === 1 || bytes <= 5_000).toBe(true);
        expect(new Set(batch.map(({ topic }) => topic)).size).toBe(1);
      }
    });

    it("messages of one key are never in two calls at once, however many calls are free and however fast they come", async ({
      fixture,
    }) => {
      const slow = slowTransport();
      const { relay } = fixture.start({ transport: slow.transport, batchMax: 5, callsPerTopicMax: 16 });
      for (let wave = 1; wave <= 40; wave += 1) {
        await fixture.appendMany(4, "'orders', concat('k', n), '{}'");
        // Read while calls with the same keys are under way.
        await waitUntil(() => (relay.health().lastId ?? 0n) >= BigInt(wave * 4), { what: "the wave is read", intervalMs: 1 });
      }
      await waitUntil(() => slow.published() >= 160, { what: "all are published" });
      expect(slow.keysInTwoCalls()).toBe(0);
    });

    it("a topic has as many calls at a time as it may, and no more", async ({ fixture }) => {
      const slow = slowTransport();
      await fixture.appendMany(300, "'orders', concat('k', n % 20), '{}'");
      fixture.start({ transport: slow.transport, batchMax: 5, callsPerTopicMax: 3 });
      await waitUntil(() => slow.published() === 300, { what: "all are published" });
      expect(slow.callsMax()).toBe(3);
    });

    it("calls that begin together share out all keys that are ready, so that a receiver of one message a key has work for each of them", async ({
      fixture,
    }) => {
      const calls: (readonly OutgoingMessage[])[] = [];
      let release = (): void => undefined;
      const released = new Promise<void>((resolve) => {
        release = resolve;
      });
      const waiting: Transport = {
        publish: async (batch) => {
          calls.push(batch);
          await released;
          return batch.map(() => ({ kind: "confirmed" }) as const);
        },
        close: () => Promise.resolve(),
      };
      await fixture.appendMany(500, "'orders', concat('k', n % 20), '{}'");
      fixture.start({ transport: waiting, batchMax: 50 });
      await waitUntil(() => calls.length === 4, { what: "as many calls as a topic may have are under way" });
      expect(new Set(calls.flat().map(({ key }) => key)).size).toBe(20);
      expect(calls.map((batch) => batch.length)).toEqual([50, 50, 50, 50]);
      release();
      await waitUntil(() => calls.flat().length === 500, { what: "all are published" });
    });
  }),
);
