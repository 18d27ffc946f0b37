/** What operators do to subscriptions whose messages wait in the spill: nothing of them is lost or turned round. */
import { namespace } from "@waybill/sql";
import { forEachDatabase, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { deleteSubscription, moveSubscription, type Position, resumeSubscription } from "../src/index.ts";
import { itOn, type RelayFixture, row, type StartedRelay } from "./relay-fixture.ts";

const by = { who: "ann", why: "as agreed" };

const spilled = async (fixture: RelayFixture): Promise<readonly number[]> =>
  (await fixture.run("select sequence from waybill_spill order by sequence")).map(({ sequence }) => Number(sequence));

const move = ({ database }: RelayFixture, to: Position) => moveSubscription(database, namespace(database.dialect), {}, to, by);

/** Publishes what comes before `from`, and spills the rest. */
async function spillFrom(fixture: RelayFixture, from: number, keys: readonly (string | null)[]): Promise<void> {
  const transport = memoryTransport();
  transport.inject({ kind: "retry", scope: "topic", times: 1_000_000, when: ({ sequence }) => sequence >= BigInt(from) });
  await fixture.append(...keys.map((key) => row(key)));
  const relay = fixture.start({ memory: transport, spillAfterMs: 60 });
  await waitUntil(async () => (await spilled(fixture)).length === keys.length - from + 1, { what: "the rest is spilled" });
  await fixture.isSaved(keys.length);
  await relay.stop();
}

const ofKey = (relay: StartedRelay, key: string): readonly number[] =>
  relay.transport.received.filter((message) => message.key === key).map(({ sequence }) => Number(sequence));

await forEachDatabase((server) => {
  describe(`operating subscriptions with spilled messages on ${server.name}`, () => {
    const it = itOn(server);

    it("moved back, what was spilled from there on is published in its place, and once", async ({ fixture }) => {
      await spillFrom(fixture, 5, ["a", "b", "a", null, "a", "b", null, "a"]);
      await move(fixture, { id: 3n });
      expect(await spilled(fixture)).toEqual([]);
      const relay = fixture.start();
      await fixture.isSaved(8);
      expect(ofKey(relay, "a")).toEqual([3, 5, 8]);
      expect(ofKey(relay, "b")).toEqual([6]);
      expect(relay.sequences().toSorted((one, other) => one - other)).toEqual([3, 4, 5, 6, 7, 8]);
    });

    it("moved into the midst of what was spilled, what is before it stays spilled, and comes first", async ({ fixture }) => {
      await spillFrom(fixture, 2, ["a", "a", "b", "a", "a", "b"]);
      await move(fixture, { id: 4n });
      expect(await spilled(fixture)).toEqual([2, 3]);
      const relay = fixture.start();
      await relay.hasPublished(5);
      await waitUntil(async () => (await spilled(fixture)).length === 0, { what: "nothing is spilled any more" });
      expect(ofKey(relay, "a")).toEqual([2, 4, 5]);
      expect(ofKey(relay, "b")).toEqual([3, 6]);
    });

    it("moved back or forth, what the ledger does not have any more is published from its copy", async ({ fixture }) => {
      await spillFrom(fixture, 1, ["a", "b", "a", "b", "a"]);
      await fixture.run("delete from waybill_outbox where id in (1, 2, 4)");
      await fixture.run("update waybill_stream set removed_to = 2");
      await move(fixture, "now");
      expect(await spilled(fixture)).toEqual([1, 2, 3, 4, 5]);
      await move(fixture, "beginning");
      expect(await spilled(fixture)).toEqual([1, 2, 4]);
      const relay = fixture.start();
      await relay.hasPublished(5);
      expect(ofKey(relay, "a")).toEqual([1, 3, 5]);
      expect(ofKey(relay, "b")).toEqual([2, 4]);
    });

    it("whose outbox was emptied, its copies are published, and so are the messages that have their ids by now", async ({ fixture }) => {
      await spillFrom(fixture, 1, ["a", "b", "c"]);
      await fixture.run({ postgres: "truncate waybill_outbox restart identity", mysql: "truncate waybill_outbox" });
      await fixture.append(row("a"), row("c"));
      const relay = fixture.start();
      await relay.seen("relay.subscriptionStopped");
      await resumeSubscription(fixture.database, namespace(fixture.database.dialect), {}, { ...by, acceptRepeats: true });
      await relay.hasPublished(5);
      expect(new Set(relay.transport.received.map(({ id }) => id)).size).toBe(5);
      expect(ofKey(relay, "a")).toEqual([1, 1]);
      expect(ofKey(relay, "b")).toEqual([2]);
      expect(ofKey(relay, "c")).toEqual([3, 2]);
      await waitUntil(async () => (await spilled(fixture)).length === 0, { what: "nothing is spilled any more" });
    });

    it("deletes none whose messages are spilled, unless their loss is accepted", async ({ fixture }) => {
      await spillFrom(fixture, 2, ["a", "a", "b"]);
      const remove = (acceptLoss: boolean) =>
        deleteSubscription(fixture.database, namespace(fixture.database.dialect), {}, { ...by, acceptLoss });
      await expect(remove(false)).rejects.toMatchObject({ code: "WAYBILL_SUBSCRIPTION_REFUSED", facts: { reason: "spilled" } });
      expect((await fixture.subscription()).state).toBe("active");
      expect(await spilled(fixture)).toEqual([2, 3]);
      expect(await remove(true)).toMatchObject({ isChanged: true, after: null });
      expect(await spilled(fixture)).toEqual([]);
      expect(await fixture.run("select 1 from waybill_subscription")).toEqual([]);
    });
  });
});
