import { expect, it } from "vitest";
import { firstId, partitionIdsFor } from "./partitions.ts";

it("a partition begins where the last one ends, as long as no id has got near it", () => {
  expect(firstId(0n, 3_000_001n, 1_000_000n)).toBe(3_000_001n);
  expect(firstId(2_950_000n, 3_000_001n, 1_000_000n)).toBe(3_000_001n);
});

it("where ids are near, or behind rows in the default partition, it begins a quarter of a partition or two beyond them", () => {
  for (const highestId of [2_950_001n, 3_000_000n, 3_000_001n, 3_200_000n, 3_999_999n, 4_000_000n, 4_000_001n]) {
    const low = firstId(highestId, 3_000_001n, 1_000_000n);
    expect(low > highestId + 250_000n && low <= highestId + 500_000n).toBe(true);
    expect((low - 1n) % 250_000n).toBe(0n);
  }
});

it("a partition holds a twentieth of what came in while history is kept, at least a million ids", () => {
  expect(partitionIdsFor(0n)).toBe(1_000_000n);
  expect(partitionIdsFor(20_000_000n)).toBe(1_000_000n);
  expect(partitionIdsFor(60_000_000n)).toBe(3_000_000n);
});
