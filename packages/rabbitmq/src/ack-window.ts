/**
 * Which deliveries of one channel can be acknowledged now.
 *
 *     tags       1  2  3  4  5  6
 *     settled    ●  ●  ●  ·  ●  ·      one ack with `multiple` for 1–3, one of its own for 5; never one that covers 4
 *
 * An ack for a tag that the broker does not expect closes the channel with all that is on it. So every tag is named once at most, and a
 * `multiple` names the last of an unbroken run of settled ones that was not acked before. Nothing is kept of what was acked: one that is
 * not settled for long has any number of others settled behind it.
 */
export interface AckWindow<D> {
  /** Deliveries that were not acked: as many as the broker lets us have, at most. */
  readonly size: number;
  /** Deliveries that are not settled. */
  readonly unsettled: number;
  /** The oldest of them, or null. */
  readonly oldest: D | null;
  /** In the order of delivery. */
  add(tag: number, delivery: D): void;
  settle(tag: number): void;
  /** The acks to send now, each once. */
  take(): readonly { readonly delivery: D; readonly allUpTo: boolean }[];
}

interface Entry<D> {
  readonly tag: number;
  readonly delivery: D;
  isSettled: boolean;
}

export function createAckWindow<D>(): AckWindow<D> {
  const entries = new Map<number, Entry<D>>();
  let settled: Entry<D>[] = [];
  let unsettled = 0;

  return {
    get size() {
      return entries.size;
    },
    get unsettled() {
      return unsettled;
    },
    get oldest() {
      for (const { delivery, isSettled } of entries.values()) if (!isSettled) return delivery;
      return null;
    },
    add(tag, delivery) {
      entries.set(tag, { tag, delivery, isSettled: false });
      unsettled += 1;
    },
    settle(tag) {
      const entry = entries.get(tag);
      if (entry === undefined || entry.isSettled) return;
      entry.isSettled = true;
      unsettled -= 1;
      settled.push(entry);
    },
    take() {
      const run: Entry<D>[] = [];
      for (const [tag, entry] of entries) {
        if (!entry.isSettled) break;
        entries.delete(tag);
        run.push(entry);
      }
      const last = run.at(-1);
      const acks = last === undefined ? [] : [{ delivery: last.delivery, allUpTo: run.length > 1 }];
      for (const { tag, delivery } of settled) if (entries.delete(tag)) acks.push({ delivery, allUpTo: false });
      settled = [];
      return acks;
    },
  };
}
