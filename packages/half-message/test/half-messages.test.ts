import { forEachDatabase } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HalfMessageFixture, halfMessageFixture, message, type Replica } from "./half-message-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    let replica: Replica;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
      replica = await fixture.replica();
    });
    afterAll(() => fixture.close());

    test("what is prepared is stored, invisible until it is committed, and then delivered once", async () => {
      const prepared = await replica.prepare("first");
      expect(prepared).toMatchObject({
        status: 201,
        body: { producer: "payments", id: "first", state: "prepared", version: 1, replayed: false },
      });
      expect(await fixture.count("delivery", "id = 'first'")).toBe(0);
      const committed = await replica.commit("first");
      expect(committed).toMatchObject({
        status: 200,
        body: { state: "committed", changed: true, created: false, decidedBy: "producer:payments-1" },
      });
      const shown = await replica.show("first");
      expect(shown).toMatchObject({
        status: 200,
        body: {
          state: "committed",
          blockedBy: null,
          deliveries: [{ messageId: "first", destination: "kafka" }],
          log: [{ event: "committed", from: "prepared", to: "committed", actor: "producer:payments-1" }],
        },
      });
      expect(JSON.stringify(shown.body)).not.toContain("order-17");
    });

    test("a repeated prepare is answered as it stands, and other content under its id is refused", async () => {
      await replica.prepare("again");
      expect(await replica.prepare("again")).toMatchObject({ status: 200, body: { replayed: true, state: "prepared" } });
      const other = { messages: [message({ payload: "{}" })] };
      expect(await replica.prepare("again", other)).toMatchObject({ status: 422, body: { code: "payload_mismatch", state: "prepared" } });
      expect(await replica.commit("again", { halfMessage: { barrier: null, ...other } })).toMatchObject({ status: 422 });
      expect(await replica.show("again")).toMatchObject({ body: { state: "prepared" } });
    });
  }),
);
