import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { type DeliveryEvent, newMessageId } from "@waybill/core";
import { type Child, forEachDatabase, startChild, waitUntil } from "@waybill/testing";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Answer, callService, type HalfMessageFixture, halfMessageFixture, message, secrets } from "../half-message-fixture.ts";
import { hasItsTurn } from "../has-its-turn.ts";

const program = new URL("../../dist-programs/test/crash/service.child.js", import.meta.url);
const keys = ["a", "a", "b", null];

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let endpoint: Server;
    /** Ids in the order of their arrival, by path. */
    let arrived: { readonly path: string; readonly id: string }[];
    const children: Child[] = [];
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    beforeEach(async () => {
      arrived = [];
      endpoint = createServer((request, response) => {
        request.resume();
        request.on("end", () => {
          arrived.push({ path: request.url ?? "", id: String(request.headers["ce-id"]) });
          response.end();
        });
      });
      await new Promise<void>((resolve) => endpoint.listen(0, "127.0.0.1", resolve));
    });
    afterEach(async () => {
      for (const child of children.splice(0)) {
        child.kill();
        await child.exited;
      }
      endpoint.closeAllConnections();
      endpoint.close();
    });
    afterAll(() => fixture.close());

    const port = (): number => (endpoint.address() as AddressInfo).port;
    async function start(killAt: DeliveryEvent["name"] | null) {
      const destination = `http://127.0.0.1:${port()}/web`;
      const options = { url: fixture.url, key: secrets["payments-1"], destination, killAt };
      const child = await startChild(program, { args: [JSON.stringify(options)] });
      children.push(child);
      const listening = await child.waitFor((event) => event["name"] === "halfMessage.listening", {
        what: "it listens",
        deadlineMs: 60_000,
      });
      const ports = { public: Number(listening["port"]), admin: 0 };
      const call = (method: string, target: string, body?: unknown): Promise<Answer | null> =>
        callService(ports, method, target, body).catch(() => null);
      return { child, call };
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
        const before = arrived.length;
        expect(before > 0).toBe(killAt === "delivery.published" || killAt === "delivery.recorded");

        const next = await start(null);
        await allAcked(half);
        const counts = ids.map((id) => arrived.filter((one) => one.id === id).length);
        expect(counts.every((count) => count >= 1)).toBe(true);
        // Once the first is confirmed, another call may be under way while it is recorded.
        if (how !== "once or again") expect(counts.some((count) => count > 1)).toBe(how === "again");
        const firsts = [...new Set(arrived.map(({ id }) => id))];
        expect(firsts.indexOf(ids[0] ?? "")).toBeLessThan(firsts.indexOf(ids[1] ?? ""));
        expect(await fixture.count("delivery_lane")).toBe(0);
        next.child.kill("SIGTERM");
        expect(await next.child.exited).toEqual({ code: 0, signal: null });
      },
    );
  }),
);
