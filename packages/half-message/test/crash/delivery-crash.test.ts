import { type DeliveryEvent, newMessageId } from "@waybill/core";
import { type Child, forEachDatabase, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Arrivals, listenForArrivals } from "../arrivals.ts";
import { type HalfMessageFixture, halfMessageFixture, message } from "../half-message-fixture.ts";
import { hasItsTurn } from "../has-its-turn.ts";
import { type ServiceChild, startServiceChild } from "../service-child.ts";

const keys = ["a", "a", "b", null];

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let arrivals: Arrivals;
    const children: Child[] = [];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    beforeEach(async () => {
      arrivals = await listenForArrivals();
    });
    afterEach(async () => {
      for (const child of children.splice(0)) {
        child.kill();
        await child.exited;
      }
      await arrivals.close();
    });
    afterAll(() => fixture.close());

    async function start(killAt: DeliveryEvent["name"] | null): Promise<ServiceChild> {
      const started = await startServiceChild({ url: fixture.url, destination: arrivals.url("/web"), killAt });
      children.push(started.child);
      return started;
    }

    const allAcked = (half: string) =>
      waitUntil(async () => (await fixture.count("delivery", `id = '${half}' and state = 'acked'`)) === keys.length, {
        what: "all are delivered",
        deadlineMs: 60_000,
      });

    const killed: readonly (readonly [DeliveryEvent["name"], "once" | "again" | "once or again"])[] = [
      ["delivery.claimed", "once"],
      ["delivery.publishing", "once"],
      ["delivery.published", "again"],
      ["delivery.recorded", "once or again"],
    ];
    test.each(killed.filter(([at]) => hasItsTurn(server, at)))(
      "H41 kill -9 of the service at %s: published %s, the same id, one effect, in the order of its key",
      async (killAt, how) => {
        const half = newMessageId();
        const ids = keys.map((_, nth) => `${half}-${nth}`);
        const messages = keys.map((key, nth) => message({ id: ids[nth], ...(key === null ? { key: undefined } : { key }) }));
        const first = await start(killAt);
        const target = `/v1/producers/payments/half-messages/${half}`;
        expect((await first.call("PUT", target, { messages }))?.status).toBe(201);
        await first.call("POST", `${target}/commit`, {});
        expect(await first.child.exited).toMatchObject({ signal: "SIGKILL" });
        const before = arrivals.all.length;
        expect(before > 0).toBe(killAt === "delivery.published" || killAt === "delivery.recorded");

        const next = await start(null);
        await allAcked(half);
        const counts = ids.map((id) => arrivals.all.filter((one) => one.id === id).length);
        expect(counts.every((count) => count >= 1)).toBe(true);
        // Once the first is confirmed, another call may be under way while it is recorded.
        if (how !== "once or again") expect(counts.some((count) => count > 1)).toBe(how === "again");
        const firsts = [...new Set(arrivals.ids("/web"))];
        expect(firsts.indexOf(ids[0] ?? "")).toBeLessThan(firsts.indexOf(ids[1] ?? ""));
        expect(await fixture.count("delivery_lane")).toBe(0);
        next.child.kill("SIGTERM");
        expect(await next.child.exited).toEqual({ code: 0, signal: null });
      },
    );
  }),
);
