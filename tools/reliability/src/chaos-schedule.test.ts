import { describe, expect, it } from "vitest";
import { createChaosSchedule, nameOfFault } from "./chaos-schedule.ts";

const ours = { isDatabaseOurs: true, isBrokerOurs: true, hasDoors: true, relays: 2, consumers: 2, writers: 3, leaseMs: 3_000 };

describe("a chaos schedule", () => {
  it("is the same for the same seed, and another one for another", () => {
    const one = createChaosSchedule(7, { ...ours, minutes: 3 });
    expect(createChaosSchedule(7, { ...ours, minutes: 3 })).toEqual(one);
    expect(createChaosSchedule(8, { ...ours, minutes: 3 })).not.toEqual(one);
  });

  it("kills relays, consumers and writers and breaks links in every minute, whatever the seed", () => {
    for (let seed = 0; seed < 30; seed += 1) {
      const faults = createChaosSchedule(seed, { ...ours, minutes: 3 });
      for (let minute = 0; minute < 3; minute += 1) {
        const kinds = faults.filter(({ atMs }) => Math.floor(atMs / 60_000) === minute).map(({ fault }) => fault);
        for (const name of ["kill relay", "kill consumer", "kill writer"]) expect(kinds.map(nameOfFault)).toContain(name);
        expect(kinds.filter(({ kind }) => kind === "databaseLink")).toHaveLength(9);
      }
    }
  });

  it("leaves servers alone that are not ours, and links that cannot be broken", () => {
    const faults = createChaosSchedule(3, { ...ours, isDatabaseOurs: false, isBrokerOurs: false, hasDoors: false, minutes: 20 });
    const kinds = new Set(faults.map(({ fault }) => fault.kind));
    for (const kind of ["killDatabase", "restartDatabase", "killBroker", "restartBroker", "closeConnections", "brokerLink"] as const) {
      expect(kinds.has(kind)).toBe(false);
    }
  });
});
