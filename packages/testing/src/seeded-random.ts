import type { Random } from "@waybill/core";

/**
 * A generator whose whole sequence follows from `seed` (mulberry32): a failing run is repeated by its seed. Not for secrets.
 * Seeds that are equal modulo 2³² give the same sequence.
 */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return {
    fraction() {
      state = (state + 0x6d2b79f5) >>> 0;
      let mixed = Math.imul(state ^ (state >>> 15), state | 1);
      mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
    },
  };
}
