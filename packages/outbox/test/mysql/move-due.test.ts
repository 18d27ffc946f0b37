import { catalogue, message } from "@waybill/core";
import { forEachMysql, waitUntil } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append, createDelayedMessages, nothingPassedOver } from "../../src/index.ts";
import { type OutboxDatabase, outboxDatabase } from "../application.ts";

const shop = catalogue({ source: "/order-service", note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes" }) });

await forEachMysql((server) =>
  describe(`moving delayed messages on ${server.name}`, () => {
    let outbox: OutboxDatabase;
    beforeAll(async () => {
      outbox = await outboxDatabase(server);
    });
    afterAll(() => outbox.drop());

    it("an id that is fenced while the mover's insert waits for a gap is given up, and the messages are moved under the next ones", async () => {
      const application = await outbox.application();
      await application.run("begin");
      await append(application.handle, [shop.note({ n: 1 }), shop.note({ n: 2 })], { delayMs: 0 });
      await application.run("commit");

      const holder = await outbox.application();
      await holder.run("set session transaction isolation level repeatable read");
      await holder.run("begin");
      await holder.run("select id from waybill_outbox where id > 0 for update"); // locks the gap at the end of the ledger
      const upkeep = await outbox.connect();
      const moving = createDelayedMessages({ space: outbox.space }).moveDue(upkeep, { passedOver: nothingPassedOver });
      const insert =
        "select id from information_schema.processlist where db = database() and info like '%insert into `waybill_outbox` %' and id <> connection_id()";
      await waitUntil(async () => (await outbox.run(insert)).length > 0, { what: "the mover's insert waits" });
      await holder.run("insert into waybill_outbox (id, type, topic) values (1, '', '')");
      await holder.run("commit");
      expect(await moving).toMatchObject({ kind: "moved", messages: 2 });
      expect(await outbox.ledger()).toEqual(["fence", '{"n":1}', '{"n":2}']);
      expect(await outbox.ledger("waybill_outbox_delayed")).toEqual([]);
    });
  }),
);
