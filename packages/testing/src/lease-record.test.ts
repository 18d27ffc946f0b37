import { describe, expect, it } from "vitest";
import { judgeLease, type LeaseWrite } from "./lease-record.ts";

const write = (epoch: number, owner: string | null, lastId: number, backend: number): LeaseWrite => ({ epoch, owner, lastId, backend });
const clean = [
  write(0, null, 0, 50),
  write(1, "a", 0, 71),
  write(1, "a", 40, 71),
  write(2, "b", 40, 80),
  write(2, "b", 90, 80),
  write(2, null, 90, 81), // released over a connection of its own
  write(3, "a", 90, 72),
];

describe("what was written to the subscription's row", () => {
  it("is clean while each epoch has one writer and the cursor goes forward; a release may come from elsewhere", () => {
    expect(judgeLease(clean)).toEqual({ takeovers: 2, zombieWrites: [] });
  });

  it("shows a save by who held the lease before, an epoch that was over, and a cursor that goes back", () => {
    for (const zombie of [write(3, "a", 95, 80), write(2, "b", 95, 72), write(3, "a", 40, 72)]) {
      expect(judgeLease([...clean, zombie]).zombieWrites).toEqual([zombie]);
    }
  });

  it("counts no takeover when a relay acquires again what it had", () => {
    expect(judgeLease([write(1, "a", 0, 71), write(2, "a", 0, 90), write(2, null, 0, 90), write(3, "a", 0, 91)]).takeovers).toBe(0);
  });
});
