import { afterEach, describe, expect, test, vi } from "vitest";
import { hasTurn } from "./test-turn.ts";

describe("whose turn it is", () => {
  afterEach(() => vi.unstubAllEnvs());
  const whoHasIt = (group: string, count: number): readonly number[] =>
    Array.from({ length: count }, (_, place) => place).filter((place) => hasTurn(group, place, count));

  test("everybody's, if nothing is said or all is asked for", () => {
    vi.stubEnv("WAYBILL_TEST_TURN", undefined);
    vi.stubEnv("WAYBILL_TEST_ALL", undefined);
    expect(whoHasIt("brokers", 3)).toEqual([0, 1, 2]);
    vi.stubEnv("WAYBILL_TEST_TURN", "7");
    vi.stubEnv("WAYBILL_TEST_ALL", "1");
    expect(whoHasIt("brokers", 3)).toEqual([0, 1, 2]);
  });

  test("one's, the same for the same number, and everyone's in the course of some runs", () => {
    vi.stubEnv("WAYBILL_TEST_ALL", undefined);
    const seen = new Set<number>();
    for (let turn = 0; turn < 40; turn++) {
      vi.stubEnv("WAYBILL_TEST_TURN", String(turn));
      const had = whoHasIt("brokers", 3);
      expect(had).toHaveLength(1);
      expect(whoHasIt("brokers", 3)).toEqual(had);
      seen.add(had[0] ?? -1);
    }
    expect(seen).toEqual(new Set([0, 1, 2]));
  });

  test("groups take it independently: every pair comes", () => {
    vi.stubEnv("WAYBILL_TEST_ALL", undefined);
    const pairs = new Set<string>();
    for (let turn = 0; turn < 60; turn++) {
      vi.stubEnv("WAYBILL_TEST_TURN", String(turn));
      pairs.add([...whoHasIt("databases", 2), ...whoHasIt("brokers", 2)].join(" "));
    }
    expect(pairs.size).toBe(4);
  });
});
