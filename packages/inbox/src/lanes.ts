/**
 * Which of the waiting messages may run now: those of one key one after the other, different keys side by side, one id never twice at once.
 *
 *     added ──▶ in line ──taken──▶ out ──ended──▶ gone
 *                  ▲                 └──put back──▶ in line again, before whatever came later
 *
 *     ready   key a: ● ● ●      first come, first served, by lines: a line whose messages were taken joins the end of the queue
 *             no key: ●         every message without a key is a line of its own
 *     out     key b: ● ●        what a line has out must end before the rest of it is ready
 *     parked  key c: ●          its first message has the id of one that is out: delivered twice, and not known yet what became of it
 *
 * Pure: no clock, no I/O. Memory only; whoever adds sees to a bound.
 */
import type { Lane } from "@waybill/dead-letter";

/** A message that waits, as the lanes look at it. */
export interface InLine {
  /** null: it waits for no other, and no other for it. */
  readonly lane: string | null;
  readonly id: string;
  readonly bytes: number;
}

export interface Lanes<Item extends InLine> {
  add(item: Item): void;
  /**
   * Takes messages that may run now, in the order of their lanes: as many as `itemsMax` and `bytesMax` allow, one at least if `wants` takes
   * it. `wants` is asked about each, with those that were taken before; what it does not want keeps its place.
   */
  take(
    most: { readonly itemsMax: number; readonly bytesMax: number },
    wants: (item: Item, taken: readonly Item[]) => boolean,
  ): readonly Item[];
  /** Says that what was taken together has ended, but for `back`: those join the front of their lines, in their order. */
  end(taken: readonly Item[], back: readonly Item[]): void;
  /** Messages that are in line, ready or not. */
  readonly waiting: number;
}

interface Line<Item> {
  readonly name: string | null;
  items: Item[];
}

export function createLanes<Item extends InLine>(): Lanes<Item> {
  const lines = new Map<string, Line<Item>>();
  const ready = new Set<Line<Item>>();
  const out = new Map<Item, Line<Item>>();
  const idsOut = new Set<string>();
  /** By the id that they wait for. */
  const parked = new Map<string, Line<Item>[]>();
  let waiting = 0;

  const lineOf = ({ lane }: Item): { readonly line: Line<Item>; readonly isNew: boolean } => {
    const known = lane === null ? undefined : lines.get(lane);
    if (known !== undefined) return { line: known, isNew: false };
    const line: Line<Item> = { name: lane, items: [] };
    if (lane !== null) lines.set(lane, line);
    return { line, isNew: true };
  };
  const park = (line: Line<Item>, id: string): void => {
    ready.delete(line);
    parked.set(id, [...(parked.get(id) ?? []), line]);
  };
  const free = (id: string): void => {
    idsOut.delete(id);
    for (const line of parked.get(id) ?? []) ready.add(line);
    parked.delete(id);
  };

  return {
    add(item) {
      const { line, isNew } = lineOf(item);
      line.items.push(item);
      waiting += 1;
      if (isNew) ready.add(line);
    },

    take({ itemsMax, bytesMax }, wants) {
      const taken: Item[] = [];
      let bytes = 0;
      for (const line of ready) {
        if (taken.length >= itemsMax) break;
        let places = 0;
        for (const item of line.items) {
          if (taken.length >= itemsMax || (taken.length > 0 && bytes + item.bytes > bytesMax)) break;
          if (idsOut.has(item.id)) {
            if (places === 0) park(line, item.id);
            break;
          }
          if (!wants(item, taken)) break;
          taken.push(item);
          out.set(item, line);
          idsOut.add(item.id);
          bytes += item.bytes;
          places += 1;
        }
        if (places === 0) continue;
        line.items = line.items.slice(places);
        waiting -= places;
        ready.delete(line);
      }
      return taken;
    },

    end(taken, back) {
      const touched = new Set<Line<Item>>();
      for (const item of taken) {
        touched.add(out.get(item) as Line<Item>);
        free(item.id);
      }
      for (const item of back.toReversed()) {
        (out.get(item) as Line<Item>).items.unshift(item);
        waiting += 1;
      }
      for (const item of taken) out.delete(item);
      for (const line of touched) {
        if (line.items.length > 0) ready.add(line);
        else if (line.name !== null) lines.delete(line.name);
      }
    },

    get waiting() {
      return waiting;
    },
  };
}

/** Topics and keys hold no U+0000 by the time they are lanes. */
export function laneName({ topic, key }: Lane): string {
  return `${topic}\u0000${key}`;
}
