/** A subscription that is for some messages only. */
import { forEachDatabase } from "@waybill/testing";
import { describe, expect } from "vitest";
import { itOn, row } from "./relay-fixture.ts";

await forEachDatabase((server) => {
  describe(`a filter on ${server.name}`, () => {
    const it = itOn(server);
    const typed = (type: string, topic = "orders") => ({ ...row("k", "{}", topic), type });

    it("passes over what the subscription is not for, and the cursor with it", async ({ fixture }) => {
      await fixture.append(
        typed("shop.order.placed.v1"),
        typed("shop.order.placed.v1", "stock"),
        typed("other.v1"),
        typed("shop.order.sent.v1"),
        typed("other.v1", "stock"),
      );
      const relay = fixture.start({ topics: ["ord*"], types: ["shop.*"] });
      await relay.hasPublished(2);
      await fixture.isSaved(5);
      expect(relay.sequences()).toEqual([1, 4]);
      expect(await fixture.letters()).toEqual([]);
    });

    it("is one reader's own: another subscription gets what this one passed over", async ({ fixture }) => {
      await fixture.append(row("k", "{}", "orders"), row("k", "{}", "stock"), row("k", "{}", "orders"));
      const orders = fixture.start({ topics: ["orders"] });
      const stock = fixture.start({ subscription: "stock", topics: ["stock"] });
      await Promise.all([orders.hasPublished(2), stock.hasPublished(1)]);
      expect([orders.sequences(), stock.sequences()]).toEqual([[1, 3], [2]]);
    });

    it("leaves a message without type to the dead letters", async ({ fixture }) => {
      await fixture.append({ ...row("k"), type: "" }, typed("shop.order.placed.v1"));
      const relay = fixture.start({ types: ["shop.*"], keyPolicy: "skip" });
      await relay.hasPublished(1);
      await fixture.isSaved(2);
      expect(await fixture.letters()).toEqual(["1 dead emptyType"]);
    });

    it("passes over a backlog of others, and finds the one it is for behind it", async ({ fixture }) => {
      await fixture.appendMany(20_000, "'stock', concat('k', n % 10), '{}'");
      await fixture.append(row("k", "{}", "orders"));
      const relay = fixture.start({ topics: ["orders"] });
      await relay.hasPublished(1, 30_000);
      expect(relay.relay.health()).toMatchObject({ parked: 0 });
      expect(relay.transport.received).toHaveLength(1);
    });
  });
});
