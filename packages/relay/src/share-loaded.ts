/** How the relays of one process share what it may hold in memory. */
import type { ConfigProblem } from "@waybill/core";

/** Messages, and bytes of payload, that are in memory at a time. */
export interface LoadedBounds {
  readonly loadedMax: number;
  readonly loadedBytesMax: number;
}

/**
 * A relay with less would read in small steps and could not fill the calls of its transport: one of `batchBytesMax` bytes, and messages for
 * two of `batchMax`, each in its default.
 */
export const sharesMin: LoadedBounds = { loadedMax: 1_000, loadedBytesMax: 4_194_304 };

/** What is shared where nobody says more: what a relay by itself may hold. */
const totalDefault: LoadedBounds = { loadedMax: 10_000, loadedBytesMax: 33_554_432 };

/** The name of the sum's option. */
const totalOf = { loadedMax: "totalLoadedMax", loadedBytesMax: "totalLoadedBytesMax" } as const;

type Partly<Bounds> = { readonly [Bound in keyof Bounds]?: Bounds[Bound] | undefined };

/**
 * Splits the sums: a relay that asked for a part gets it, the others share the rest evenly. What is answered adds up to the sum at most; where it
 * cannot, or a share falls below the least, that is a problem, and the answer is of no use. One relay alone gets what it asked for.
 */
export function shareLoaded(
  total: Partly<LoadedBounds>,
  asked: readonly Partly<LoadedBounds>[],
): { readonly shares: readonly LoadedBounds[]; readonly problems: readonly ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const isAlone = asked.length === 1;
  const split = (bound: keyof LoadedBounds): readonly number[] => {
    const parts = asked.map((one) => one[bound]);
    const given = parts.reduce<number>((sum, part) => sum + (part ?? 0), 0);
    const sharing = parts.filter((part) => part === undefined).length;
    const sum = total[bound] ?? (isAlone && sharing === 0 ? given : totalDefault[bound]);
    const least = given + sharing * (isAlone ? 1 : sharesMin[bound]);
    if (!Number.isInteger(sum) || sum < least) {
      const of = given > 0 ? `, ${given} of them asked for by single ones` : "";
      problems.push({ option: totalOf[bound], problem: `a whole number, for these ${asked.length} relays at least ${least}${of}` });
    }
    parts.forEach((part, place) => {
      if (part !== undefined && !isAlone && part < sharesMin[bound])
        problems.push({ option: `relays[${place}].${bound}`, problem: `at least ${sharesMin[bound]} beside other relays` });
    });
    const share = Math.floor((sum - given) / Math.max(1, sharing));
    return parts.map((part) => part ?? share);
  };
  const [messages, bytes] = [split("loadedMax"), split("loadedBytesMax")];
  const shares = asked.map((_, place) => ({ loadedMax: messages[place] as number, loadedBytesMax: bytes[place] as number }));
  return { shares, problems };
}
