import { forEachMysql } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn } from "./relay-fixture.ts";

await forEachMysql((server) =>
  describe(`history on ${server.name}`, () => {
    const it = itOn(server);

    it("that a subscription needs which was set back meanwhile is not removed", async ({ fixture }) => {
      await fixture.appendMany(2_500);
      const first = fixture.start();
      await first.hasPublished(2_500, 30_000);
      await fixture.isSaved(2_500);
      await first.stop();
      await fixture.run("update waybill_outbox set created_at = utc_timestamp(6) - interval 2 day");
      // The first step waits here, with the mark that it was begun with.
      const blocker = await fixture.client();
      await blocker.run("begin");
      await blocker.run("select id from waybill_outbox where id = 1 for update");
      const relay = fixture.start({ leaseMs: 30_000 });
      expect(await relay.seen("relay.historyRemoving")).toMatchObject({ lowWaterMark: 2_501n });
      await fixture.run(
        "insert into waybill_subscription (stream, subscription, last_id, holes, solo_deaths) values ('default', 'replayed', 1000, '[]', '{}')",
      );
      await blocker.run("commit");
      expect(await relay.seen("relay.historyRemoved", { deadlineMs: 30_000 })).toMatchObject({ rows: 1_000 });
      const [left] = await fixture.run("select min(id) as low, count(*) as count from waybill_outbox");
      expect([Number(left?.low), Number(left?.count)]).toEqual([1_001, 1_500]);
    });
  }),
);
