import { describe, expect, it } from "vitest";
import { createSchedule, type Fault, type ScheduleOptions } from "./schedule.ts";

const options: ScheduleOptions = { minutes: 4, isServerOurs: true, leaseMs: 1_500 };
const kinds = (seed: number, more: Partial<ScheduleOptions> = {}): Fault["kind"][] =>
  createSchedule(seed, { ...options, ...more }).faults.map(({ fault }) => fault.kind);

describe("a schedule", () => {
  it("is the same for the same seed, and another for another", () => {
    expect(createSchedule(7, options)).toEqual(createSchedule(7, options));
    expect(createSchedule(7, options)).not.toEqual(createSchedule(8, options));
  });

  it("has what must happen in a minute in every minute, whatever the seed", () => {
    for (let seed = 0; seed < 50; seed += 1) {
      const { faults, relays, writers, connections } = createSchedule(seed, options);
      expect([2, 3]).toContain(relays);
      expect(writers * connections).toBeGreaterThanOrEqual(8);
      expect(writers * connections).toBeLessThanOrEqual(16);
      for (let minute = 0; minute < options.minutes; minute += 1) {
        const own = faults.filter(({ atMs }) => Math.floor(atMs / 60_000) === minute).map(({ fault }) => fault.kind);
        for (const kind of ["killRelay", "stopRelay", "endRelay", "partitionRelay", "killWriter", "killServer", "rollBackMany"]) {
          expect(own).toContain(kind);
        }
      }
    }
  });

  it("comes in order of time, and ends before the load does", () => {
    const { faults } = createSchedule(3, { ...options, minutes: 1.5 });
    const times = faults.map(({ atMs }) => atMs);
    expect(times).toEqual([...times].sort((left, right) => left - right));
    expect(times.at(-1)).toBeLessThan(90_000 - 1_000);
  });

  it("leaves a server alone that is not ours", () => {
    const server = ["killServer", "restartServer", "freezeServer", "killBackend"];
    expect(kinds(5).some((kind) => server.includes(kind))).toBe(true);
    for (let seed = 0; seed < 20; seed += 1) {
      expect(kinds(seed, { isServerOurs: false }).some((kind) => server.includes(kind))).toBe(false);
    }
  });

  it("stops relays for less than their lease and for more, and rolls a million rows back once in five minutes", () => {
    const { faults } = createSchedule(11, { ...options, minutes: 10 });
    const stops = faults.flatMap(({ fault }) => (fault.kind === "stopRelay" ? [fault.forMs] : []));
    expect(Math.min(...stops)).toBeLessThan(options.leaseMs);
    expect(Math.max(...stops)).toBeGreaterThan(options.leaseMs);
    expect(faults.filter(({ fault }) => fault.kind === "rollBackMany" && fault.rows === 1_000_000)).toHaveLength(2);
  });
});
