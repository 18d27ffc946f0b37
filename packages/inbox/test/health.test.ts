/** What an inbox says of itself while messages move, fail and stand still, and that a source that gets nowhere ends it. */
import type { Alert, Delivery, Source, WaybillEvent } from "@waybill/core";
import { forEachDatabaseInTurn, memorySource, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createInboxMetrics } from "../src/index.ts";
import { type InboxFixture, inboxFixture, placed, shop } from "./inbox-fixture.ts";

await forEachDatabaseInTurn("health of an inbox", (server) =>
  describe(server.name, () => {
    let fixture: InboxFixture;
    beforeAll(async () => {
      fixture = await inboxFixture(server);
    });
    beforeEach(() => fixture.clear());
    afterAll(() => fixture.close());

    test("a message that fails again and again shows in health, metrics and one alert, until it is handled", async () => {
      const alerts: Alert[] = [];
      const metrics = createInboxMetrics({ consumer: "c", stuckMsMax: 1 });
      const told: WaybillEvent[] = [];
      const { inbox } = fixture.inbox({
        attemptsMax: 1_000,
        onAlert: (alert) => void alerts.push(alert),
        onEvent: (event) => {
          metrics.record(event);
          told.push(event);
        },
      });
      let isOpen = false;
      const hang = { isWanted: false, has: false };
      inbox.on(shop.orderPlaced, async ({ id }, tx) => {
        if (hang.isWanted) {
          hang.has = true;
          await waitUntil(() => isOpen, { what: "it may go on" });
        }
        if (!isOpen) throw Object.assign(new Error("closed"), { code: "CLOSED" });
        await fixture.effect(tx, id);
      });
      expect(inbox.health()).toMatchObject({ state: "new", unhandled: 0, oldestUnhandledMs: 0, stuckMs: 0, lastFailure: null });
      const source = memorySource();
      const stop = new AbortController();
      const run = inbox.run(source, { signal: stop.signal });
      source.deliver(placed());
      await waitUntil(() => alerts.length > 0, { what: "the eleventh failure" });
      hang.isWanted = true;
      await waitUntil(() => hang.has, { what: "its handler hangs" });
      await waitUntil(() => inbox.health().stuckMs > 1, { what: "it has waited for more than a millisecond" });
      const failing = inbox.health();
      expect(failing).toMatchObject({ state: "running", unhandled: 1, lastFailure: "CLOSED" });
      expect(failing.attempts.failed).toBeGreaterThan(10);
      expect(metrics.readiness(failing).reasons[0]).toMatch(/^nothing came to an end for .*; the last failure was CLOSED$/);
      isOpen = true;
      await waitUntil(() => source.unsettled === 0, { what: "it is handled" });
      const settled = inbox.health();
      expect(settled).toMatchObject({ state: "running", unhandled: 0, oldestUnhandledMs: 0, stuckMs: 0, lastFailure: null });
      expect(metrics.readiness(settled)).toEqual({ isReady: true, reasons: [] });
      stop.abort();
      await run;
      expect(inbox.health().state).toBe("stopped");
      expect(alerts).toMatchObject([{ kind: "failure_rate", subject: "c" }]);
      expect(told.filter(({ name }) => name === "inbox.failureRateHigh")).toHaveLength(1);
      const text = metrics.exposition(inbox.health());
      expect(text).toContain(`waybill_inbox_handled_total{consumer="c"} 1\n`);
      expect(text).toContain(`waybill_inbox_failed_total{consumer="c"} ${settled.attempts.failed}\n`);
      await inbox.close();
    });

    test("a source that brings the same and fails each time ends run, though it delivers, and health names its failure before", async () => {
      const { inbox, events } = fixture.inbox({ sourceFailuresMax: 3, random: { fraction: () => 0 }, attemptsMax: 1_000 });
      inbox.on(shop.orderPlaced, () => {
        throw new Error("never");
      });
      const delivery: Delivery = { message: placed(), redelivered: true };
      const seen: (string | null)[] = [];
      const lost = Object.assign(new Error("lost"), { code: "ECONNRESET" });
      const source: Source = {
        async consume(handle) {
          await handle([delivery]);
          seen.push(inbox.health().sourceFailure);
          throw lost;
        },
      };
      await expect(inbox.run(source, { signal: new AbortController().signal })).rejects.toBe(lost);
      expect(seen).toEqual([null, "ECONNRESET", "ECONNRESET"]);
      expect(events.filter(({ name }) => name === "inbox.sourceFailed")).toHaveLength(2);
      expect(inbox.health()).toMatchObject({ state: "stopped", sourceFailure: "ECONNRESET" });
      await inbox.close();
    });
  }),
);
