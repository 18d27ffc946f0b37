import { type Settlement, type Source, secret, type WaybillEvent } from "@waybill/core";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createHalfMessageService } from "../src/index.ts";
import { type HalfMessageFixture, halfMessageFixture, keys, noHttp } from "./half-message-fixture.ts";

await forEachDatabase((server) =>
  describe(server.name, () => {
    let fixture: HalfMessageFixture;
    beforeAll(async () => {
      fixture = await halfMessageFixture(server);
    });
    afterAll(() => fixture.close());

    const received = (id: string, topic = "payments", payload = "{}", key = "k") => ({
      id,
      type: "shop.payment.taken.v1",
      topic,
      key,
      headers: new Map([
        ["ce-source", "/shop"],
        ["content-type", "application/json"],
        ["tenant", "t"],
      ]),
      payload: Buffer.from(payload),
      sequence: null,
      createdAtMs: null,
    });

    test("a source's messages are stored once under their own ids, delivered, and settled; what is refused stays there", async () => {
      const transport = memoryTransport();
      const events: WaybillEvent[] = [];
      const service = await createHalfMessageService({
        database: fixture.database,
        http: noHttp,
        listen: "127.0.0.1:0",
        admin: null,
        keys,
        producers: { payments: { check: { via: "pull" } }, orders: { check: { via: "pull" } } },
        destinations: { kafka: { transport } },
        routes: { payments: ["kafka"] },
        receiverMasterSecret: secret("a-master-secret-of-at-least-32-bytes"),
        durability: "relaxed",
        pollMs: 50,
        onEvent: (event) => events.push(event),
      });
      const stop = new AbortController();
      const running = service.run({ signal: stop.signal });
      const settled: Settlement["kind"][] = [];
      const bring = (...messages: readonly ReturnType<typeof received>[]): Source => ({
        consume: async (handle) => {
          const settlements = await handle(messages.map((message) => ({ message, redelivered: null })));
          settled.push(...settlements.map(({ kind }) => kind));
        },
      });
      const options = { producer: "payments", signal: stop.signal };
      await service.accept(
        bring(
          received("in-1"),
          received("in-2"),
          received("in-1"),
          received("elsewhere", "nowhere"),
          received("not an id", "payments", "{}", "l"),
          received("in-3", "payments", "{}", "l"),
        ),
        options,
      );
      await service.accept(bring(received("in-2"), received("in-1", "payments", '{"other":1}')), options);
      expect(settled).toEqual(["done", "done", "done", "again", "again", "again", "done", "again"]);
      const refused = events.flatMap((event) => (event.name === "halfMessage.notAccepted" ? `${event.messageId}: ${event.code}` : []));
      expect(refused.toSorted()).toEqual(["elsewhere: topic_not_routed", "in-1: payload_mismatch", "not an id: malformed_request"]);
      await waitUntil(() => transport.received.length === 2, { what: "both are delivered" });
      expect(transport.received.map(({ id }) => id)).toEqual(["in-1", "in-2"]);
      expect(Object.fromEntries(transport.received[0]?.headers ?? [])).toMatchObject({
        "content-type": "application/json",
        tenant: "t",
        "ce-source": "/payments",
      });
      await expect(service.accept(bring(), { ...options, producer: "nobody" })).rejects.toMatchObject({ code: "WAYBILL_CONFIG_INVALID" });
      stop.abort();
      await running;
    });
  }),
);
