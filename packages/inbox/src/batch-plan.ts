/**
 * What becomes of the messages of a batch, as pure functions. A batch does the plain work – run what is new, settle what was handled – and
 * leaves everything that needs more to the way of one message: dead letters, what waits behind one, what cannot be read.
 */
import type { Claimed } from "./inbox-store.ts";

/** `left`: goes the way of one message, after the batch. */
export type Fate = "run" | "duplicate" | "left";

export interface Planned {
  /** null: it waits for no other. */
  readonly lane: string | null;
  readonly isReadable: boolean;
}

/** The fate of each message, given what its claim found. What is left keeps all that comes later in its lane from being run before it. */
export function planBatch(batch: readonly Planned[], claimed: readonly Claimed[]): readonly Fate[] {
  const lanesLeft = new Set<string>();
  return batch.map(({ lane, isReadable }, place) => {
    const fate = lane !== null && lanesLeft.has(lane) ? "left" : fateOf(claimed[place], isReadable);
    if (fate === "left" && lane !== null) lanesLeft.add(lane);
    return fate;
  });
}

function fateOf(claimed: Claimed | undefined, isReadable: boolean): Fate {
  if (claimed?.kind === "handled" && claimed.isSameContent) return "duplicate";
  return claimed?.kind === "claimed" && isReadable ? "run" : "left";
}

export interface Step<Item> {
  readonly items: Item[];
  /** True: they are handed over together. */
  readonly isTogether: boolean;
}

/**
 * The calls of handlers that a batch makes, in order: one for each message, but those of a type that takes many at once are gathered into the
 * last call of that type, unless a message of their own lane would be overtaken.
 */
export function stepsOf<Item extends { readonly lane: string | null; readonly type: string }>(
  batch: readonly Item[],
  takesMany: (type: string) => boolean,
): readonly Step<Item>[] {
  const steps: Step<Item>[] = [];
  const lastOfType = new Map<string, number>();
  const lastOfLane = new Map<string, number>();
  for (const item of batch) {
    const isTogether = takesMany(item.type);
    const together = isTogether ? lastOfType.get(item.type) : undefined;
    const before = item.lane === null ? undefined : lastOfLane.get(item.lane);
    let place = steps.length;
    if (together !== undefined && together >= (before ?? 0)) {
      place = together;
      steps[together]?.items.push(item);
    } else {
      steps.push({ items: [item], isTogether });
      if (isTogether) lastOfType.set(item.type, place);
    }
    if (item.lane !== null) lastOfLane.set(item.lane, place);
  }
  return steps;
}
