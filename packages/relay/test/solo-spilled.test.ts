import { forEachDatabaseInTurn, memoryTransport, waitUntil } from "@waybill/testing";
import { describe, expect } from "vitest";
import { dieOf } from "./dead-holders.ts";
import { itOn, type RelayFixture, row } from "./relay-fixture.ts";

const copies = async (fixture: RelayFixture): Promise<readonly number[]> =>
  (await fixture.run("select sequence from waybill_spill order by sequence")).map(({ sequence }) => Number(sequence));

await forEachDatabaseInTurn("a spilled message that kills", (server) =>
  describe(`a spilled message that kills every relay that publishes it, on ${server.name}`, () => {
    const it = itOn(server);

    it("is found and put aside where it lies; what is behind it is held, and its neighbours go on", async ({ fixture }) => {
      const transport = memoryTransport();
      transport.inject({ kind: "retry", scope: "topic", times: 1_000_000 });
      await fixture.append(row("a"), row("b"), row("killed"), row("a"), row("killed"), row(null), row("b"));
      const before = fixture.start({ memory: transport, spillAfterMs: 60 });
      await waitUntil(async () => (await copies(fixture)).length === 7, { what: "all are spilled" });
      await fixture.isSaved(7);
      await before.stop();

      const { deaths, published } = await dieOf(fixture, 3, async () => void (await fixture.append(row("a"), row(null))));
      const total = 7 + 2 * (deaths + 1);
      await fixture.isSaved(total);
      await waitUntil(async () => (await copies(fixture)).length === 0, { what: "nothing is spilled any more" });
      expect(await fixture.letters()).toEqual(["3 dead killsTheRelay", "5 held -"]);
      const [letter] = await fixture.run("select may_be_stored from waybill_dead_letter where sequence = 3");
      expect(Number(letter?.may_be_stored)).toBe(1);
      const others = Array.from({ length: total }, (_, place) => place + 1).filter((id) => id !== 3 && id !== 5);
      expect(new Set(published())).toEqual(new Set(others));
      // The first death is of one that was not alone yet; three more have a name.
      expect(deaths).toBeGreaterThanOrEqual(3);
      expect(deaths).toBeLessThanOrEqual(6);
      const firstOfA = [...new Set(published())].filter((id) => id === 1 || id === 4 || (id > 7 && id % 2 === 0));
      expect(firstOfA).toEqual([...firstOfA].sort((one, other) => one - other));
    });
  }),
);
