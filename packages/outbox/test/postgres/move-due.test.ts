import { catalogue, message } from "@waybill/core";
import { namespace, type Units } from "@waybill/sql";
import { forEachPostgres } from "@waybill/testing";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { append, createDelayedMessages, nothingPassedOver } from "../../src/index.ts";
import { type OutboxFixture, outboxFixture } from "../outbox-fixture.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: string }>({ type: "shop.note.v1", topic: "notes", key: () => "k" }),
});

forEachPostgres((server) =>
  describe(`moving delayed messages on ${server.name}`, () => {
    let fixture: OutboxFixture;

    beforeAll(async () => {
      fixture = await outboxFixture(server);
    });
    afterAll(() => fixture.drop());

    it("a mover that stops while it holds the lock of a key lets its writers go on, and what it moved waits on", async () => {
      const writer = await fixture.client();
      await writer.query("set lock_timeout = '10s'");
      const write = async (n: string, options: Parameters<typeof append>[2]): Promise<void> => {
        await writer.query("begin");
        await append(writer, shop.note({ n }), options);
        await writer.query("commit");
      };
      await write("delayed", { delayMs: 0 });
      let written: Promise<void> = Promise.resolve();
      const stopping: Units = {
        unitOfWork: (work, options) =>
          fixture.database.unitOfWork(async (tx) => {
            const worked = await work(tx);
            // All is moved but for the COMMIT, and nothing more is said until the writer has written.
            written = write("at once", { serialiseKey: true });
            await written.catch(() => undefined);
            return worked;
          }, options),
      };
      const delayed = createDelayedMessages({ space: namespace("postgres") });
      const options = { passedOver: nothingPassedOver, deadlineMs: 60_000 };
      await expect(delayed.moveDue(stopping, options)).rejects.toMatchObject({ code: "WAYBILL_DATABASE" });
      await written;
      expect(await delayed.moveDue(fixture.database, options)).toMatchObject({ messages: 1 });
      const rows = await fixture.run("select payload::json ->> 'n' as n from waybill_outbox order by id");
      expect(rows.map(({ n }) => n)).toEqual(["at once", "delayed"]);
    });
  }),
);
