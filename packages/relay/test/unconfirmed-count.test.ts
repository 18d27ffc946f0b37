/** The count for the metrics is slow: the session that there is goes on. */
import { catalogue, message } from "@waybill/core";
import { append } from "@waybill/outbox";
import { forEachDatabaseInTurn } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn } from "./relay-fixture.ts";

const shop = catalogue({
  source: "/order-service",
  note: message<{ readonly n: number }>({ type: "shop.note.v1", topic: "notes", key: () => "k" }),
});

await forEachDatabaseInTurn("unconfirmed count", (server) =>
  describe(`a slow count of what is not confirmed, on ${server.name}`, () => {
    const it = itOn(server);

    it("ends no session: the server gives it up", async ({ fixture }) => {
      const client = await fixture.client();
      await client.run("begin");
      await append(client.handle, shop.note({ n: 1 }), { confirmBy: ["inventory"], withinMs: 3_600_000 });
      await client.run("commit");
      // Only the count reads when something was appended.
      const columns = "message_id, consumer, stream, type, topic, KEY, headers, payload, payload_bytes, repeats, within_ms, due_at";
      const view = (key: string, slow: string): string =>
        `create view waybill_confirmation as select ${columns.replace("KEY", key)}, ${slow} as created_at from real_confirmation`;
      await fixture.run("alter table waybill_confirmation rename to real_confirmation");
      // Stable, or PostgreSQL would call it for whoever reads another column, too.
      const body = "begin perform pg_sleep(60); return interval '0'; end";
      if (server.dialect === "postgres")
        await fixture.run(`create function slowly() returns interval stable language plpgsql as $$ ${body} $$`);
      await fixture.run({
        postgres: view("key", "created_at + slowly()"),
        mysql: view("`key`", "created_at + interval sleep(60) second"),
      });
      const relay = fixture.start({ statementDeadlineMs: 2_000, leaseMs: 60_000 });
      const { reason } = await relay.seen("relay.unconfirmedNotMeasured", { deadlineMs: 60_000 });
      expect(reason).toMatch(/^refused:(57014|1969|3024)$/);
      await relay.hasPublished(1);
      expect(relay.eventsOf("relay.leaseAcquired")).toHaveLength(1);
      expect(relay.eventsOf("relay.unconfirmedNotRepeated")).toEqual([]);
    });
  }),
);
