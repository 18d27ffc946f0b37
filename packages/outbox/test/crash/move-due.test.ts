/**
 * The mover's link is cut around its COMMIT, and nobody hears whether the messages were moved. Whoever looks next finds out by what still waits:
 * in the end each message is in the ledger once, in due order.
 *
 *     COMMIT ──┤ cut: surely not done     COMMIT ──▶ ├ cut: done, now or in a moment     COMMIT ──▶ done ──┤ cut: surely done
 */
import { catalogue, isWaybillError, message } from "@waybill/core";
import { openDatabase } from "@waybill/sql";
import { type FaultProxy, forEachDatabase, startFaultProxy, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { append, createDelayedMessages, nothingPassedOver } from "../../src/index.ts";
import { type OutboxDatabase, outboxDatabase } from "../application.ts";

const shop = catalogue({
  source: "/crash-test",
  noted: message<{ readonly n: number }>({ type: "test.noted.v1", topic: "notes", key: ({ n }) => `k${n % 3}` }),
});

await forEachDatabase((server) =>
  describe(`the mover's COMMIT goes unanswered, on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    let proxy: FaultProxy;
    beforeAll(async () => {
      outbox = await outboxDatabase(server);
      const { hostname, port } = new URL(outbox.url);
      proxy = await startFaultProxy({ target: { host: hostname, port: Number(port) } });
    });
    afterAll(async () => {
      await proxy.stop();
      await outbox.drop();
    });
    beforeEach(() => outbox.clear());

    test.each(["beforeRequest", "afterRequest", "beforeReply"] as const)("cut %s: each message is moved once, in its order", async (at) => {
      const application = await outbox.application();
      await application.run("begin");
      for (let n = 0; n < 10; n += 1) await append(application.handle, shop.noted({ n }), { deliverAt: new Date(1_000 + n) });
      await application.run("commit");

      const delayed = createDelayedMessages({ space: outbox.space });
      const database = openDatabase({ url: proxy.url(outbox.url), connections: 1 });
      const victim = await database.connect({ purpose: "test" });
      const faults: ReturnType<FaultProxy["inject"]>[] = [];
      const onStep = (step: string): void => {
        if (step === "committing") faults.push(proxy.inject({ kind: "cut", at, pattern: "commit" }));
      };
      const thrown: unknown = await delayed
        .moveDue(victim, { passedOver: nothingPassedOver, messagesMax: 6, onStep })
        .catch((error: unknown) => error);
      expect(isWaybillError(thrown, "WAYBILL_OUTCOME_UNKNOWN") || isWaybillError(thrown, "WAYBILL_DATABASE"), String(thrown)).toBe(true);
      expect(faults.map(({ fired }) => fired)).toEqual([1]);
      for (const fault of faults) fault.lift();
      await victim.close();
      await database.close();

      const successor = await outbox.connect();
      await waitUntil(
        async () => {
          const step = await delayed.moveDue(successor, { passedOver: nothingPassedOver });
          return step.kind === "moved" && (await outbox.ledger()).length >= 10;
        },
        { what: "the successor moves what is left" },
      );
      const numbers = (await outbox.ledger()).map((said) => (JSON.parse(said) as { n: number }).n);
      expect(numbers).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    });
  }),
);
