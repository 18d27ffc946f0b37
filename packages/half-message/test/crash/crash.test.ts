import { newMessageId, type WaybillEvent } from "@waybill/core";
import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, message } from "../half-message-fixture.ts";
import { type ServiceChild, startServiceChild } from "../service-child.ts";

const three = { barrier: null, messages: ["m1", "m2", "m3"].map((id) => message({ id, key: id })) };

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    afterAll(() => fixture.close());

    const start = (killAt: WaybillEvent["name"] | null): Promise<ServiceChild> => startServiceChild({ url: fixture.url, killAt });
    const target = (id: string): string => `/v1/producers/payments/half-messages/${id}`;
    const bodies = (id: string): Promise<number> => fixture.count("half_message_body", `id = '${id}'`);
    const deliveries = (id: string): Promise<number> => fixture.count("delivery", `id = '${id}'`);

    test.each<["halfMessage.storing" | "halfMessage.stored", number]>([
      ["halfMessage.storing", 0],
      ["halfMessage.stored", 3],
    ])(
      "H25 killed at %s, three messages under one id are stored all or none, and the repeated prepare says which",
      async (killAt, left) => {
        const id = newMessageId();
        const killed = await start(killAt);
        expect(await killed.call("PUT", target(id), three)).toBeNull();
        await killed.child.exited;
        expect(await bodies(id)).toBe(left);
        const next = await start(null);
        expect(await next.call("PUT", target(id), three)).toMatchObject({ status: left === 0 ? 201 : 200, body: { replayed: left !== 0 } });
        expect(await bodies(id)).toBe(3);
        next.child.kill("SIGTERM");
        expect(await next.child.exited).toEqual({ code: 0, signal: null });
      },
    );

    test.each<["halfMessage.deciding" | "halfMessage.decided", number]>([
      ["halfMessage.deciding", 0],
      ["halfMessage.decided", 3],
    ])(
      "H25 killed at %s, the decision is made with all its deliveries or not at all, and the repeated commit finishes it",
      async (killAt, left) => {
        const id = newMessageId();
        const first = await start(killAt);
        expect(await first.call("PUT", target(id), three)).toMatchObject({ status: 201 });
        expect(await first.call("POST", `${target(id)}/commit`, {})).toBeNull();
        await first.child.exited;
        expect(await deliveries(id)).toBe(left);
        const next = await start(null);
        expect(await next.call("POST", `${target(id)}/commit`, {})).toMatchObject({
          status: 200,
          body: { changed: left === 0, state: "committed" },
        });
        expect(await deliveries(id)).toBe(3);
        next.child.kill();
        await next.child.exited;
      },
    );

    test("H41 killed right after it answered a decision, the decision stands", async () => {
      const first = await start(null);
      const ids = Array.from({ length: 20 }, newMessageId);
      for (const id of ids) await first.call("PUT", target(id), three);
      const answers = ids.map((id, index) => first.call("POST", `${target(id)}/${index % 2 === 0 ? "commit" : "rollback"}`, {}));
      await answers[0];
      first.child.kill();
      const acknowledged = (await Promise.all(answers)).flatMap((answer) => (answer === null ? [] : [answer]));
      await first.child.exited;
      expect(acknowledged.length).toBeGreaterThan(0);
      for (const { body } of acknowledged) {
        expect(await fixture.count("half_message", `id = '${String(body["id"])}' and state = '${String(body["state"])}'`)).toBe(1);
      }
    });
  }),
);
