import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { audit } from "./audit.ts";
import type { DeadLetter, Effect, History, Intent, LedgerRow, Received } from "./history.ts";
import { formatHistory, parseHistory } from "./parse-history.ts";
import type { InvariantCode } from "./verdict.ts";

/** One message of a plan: what its writer did, and what becomes of it at the first subscription. */
interface Planned {
  readonly topic: "orders" | "stock";
  readonly key: string | null;
  readonly fate: "committed" | "rolledBack" | "found" | "absent" | "raw";
  readonly gap: number;
  /** A dead letter if below the history's share of dead ones. */
  readonly luck: number;
}

const planned: fc.Arbitrary<Planned> = fc.record({
  topic: fc.constantFrom("orders", "stock"),
  key: fc.constantFrom(null, "", "a", "b", "1:a"),
  fate: fc.constantFrom("committed", "committed", "committed", "rolledBack", "found", "absent", "raw"),
  gap: fc.nat({ max: 3 }),
  luck: fc.nat({ max: 99 }),
});

/** Endless choices out of a finite list, so that a smaller list is a simpler history. */
function chooser(numbers: readonly number[]): (below: number) => number {
  let at = 0;
  return (below) => {
    const number = numbers[at % Math.max(1, numbers.length)] ?? 0;
    at += 1;
    return number % below;
  };
}

const subscriptions = [
  { name: "first", topics: ["orders", "stock"], hasDead: true },
  { name: "second", topics: ["orders"], hasDead: false },
] as const;
const consumers = [
  { consumer: "inventory", subscription: "first" },
  { consumer: "mail", subscription: "second", topics: ["orders"] },
] as const;

type Row = LedgerRow & { readonly isDead: boolean };
const laneOf = (row: LedgerRow): string => (row.key === null ? row.messageId : JSON.stringify([row.topic, row.key]));

/** Everything the invariants allow: interleaved keys, repetitions anywhere later, holes that died, dead letters with what waits behind. */
const validHistory: fc.Arbitrary<History> = fc
  .record({
    plan: fc.array(planned, { minLength: 1, maxLength: 30 }),
    numbers: fc.array(fc.nat({ max: 997 }), { minLength: 1, maxLength: 60 }),
    deadPercent: fc.constantFrom(0, 0, 15),
    withHandled: fc.boolean(),
  })
  .map(({ plan, numbers, deadPercent, withHandled }) => {
    const choose = chooser(numbers);
    const intents: Intent[] = [];
    const businessRows: string[] = [];
    const ledger: Row[] = [];
    const orders = new Map<string, number>();
    let sequence = 0n;
    for (const [at, { topic, key, fate, gap, luck }] of plan.entries()) {
      const messageId = `m${at}`;
      const payloadDigest = `bytes of ${messageId}`;
      const lane = JSON.stringify([topic, key]);
      const order = (orders.get(lane) ?? 0) + 1;
      orders.set(lane, order);
      const outcome = fate === "committed" || fate === "rolledBack" ? fate : "unknown";
      if (fate !== "raw") intents.push({ messageId, topic, key, outcome, payloadDigest, order });
      if (fate === "committed" || fate === "found") businessRows.push(messageId);
      sequence += BigInt(gap + 1);
      if (fate !== "rolledBack" && fate !== "absent") {
        ledger.push({ sequence, messageId, type: "t", topic, key, payloadDigest, isDead: luck < deadPercent });
      }
    }

    const received: Received[] = [];
    const deadLetters: DeadLetter[] = [];
    const firstsOf = new Map<string, Row[]>();
    for (const { name, topics, hasDead } of subscriptions) {
      const closed = new Set<string>();
      const wanted = ledger.filter((row) => {
        if (!(topics as readonly string[]).includes(row.topic)) return false;
        if (!hasDead) return true;
        const lane = laneOf(row);
        const isHeld = closed.has(lane);
        if (!isHeld && !row.isDead) return true;
        closed.add(lane);
        deadLetters.push({
          origin: "relay",
          reader: name,
          messageId: row.messageId,
          state: isHeld ? "held" : "dead",
          payloadDigest: row.payloadDigest,
        });
        return false;
      });
      const firsts = interleave(wanted, choose);
      firstsOf.set(name, firsts);
      for (const [at, row] of firsts.entries()) {
        received.push(recordOf(name, row));
        for (let repetitions = choose(5) - 2; repetitions > 0; repetitions -= 1)
          received.push(recordOf(name, firsts[choose(at + 1)] ?? row));
      }
    }
    const effects: Effect[] = consumers.flatMap(({ consumer, subscription }) =>
      interleave(byPlace(firstsOf.get(subscription) ?? []), choose).map((row) => ({ consumer, messageId: row.messageId })),
    );
    const history: History = {
      intents,
      businessRows,
      ledger: ledger.map(({ isDead: _isDead, ...row }) => row),
      subscriptions: subscriptions.map(({ name, topics }) => ({
        subscription: name,
        topics,
        lastId: sequence,
        openRanges: [],
        owner: null,
        isLeaseValid: false,
      })),
      received,
      deadLetters,
      consumers,
      effects,
    };
    return withHandled ? { ...history, handled: effects.map(({ consumer, messageId }) => ({ consumer, messageId })) } : history;
  });

const byPlace = (rows: readonly Row[]): Row[] => rows.toSorted((a, b) => Number(a.sequence - b.sequence));

/** A random merge of the lanes, each in its own order. */
function interleave(rows: readonly Row[], choose: (below: number) => number): Row[] {
  const lanes = new Map<string, Row[]>();
  for (const row of rows) lanes.set(laneOf(row), [...(lanes.get(laneOf(row)) ?? []), row]);
  const waiting = [...lanes.values()];
  const merged: Row[] = [];
  while (waiting.length > 0) {
    const at = choose(waiting.length);
    const next = waiting[at]?.shift();
    if (next !== undefined) merged.push(next);
    if (waiting[at]?.length === 0) waiting.splice(at, 1);
  }
  return merged;
}

const recordOf = (subscription: string, row: LedgerRow): Received => ({
  subscription,
  messageId: row.messageId,
  payloadDigest: row.payloadDigest,
  topic: row.topic,
  key: row.key,
  sequence: row.sequence,
});

/** What it does to a history, or undefined where there is nothing to spoil. */
interface Sabotage {
  readonly name: string;
  readonly code: InvariantCode;
  readonly spoil: (history: History, choose: (below: number) => number) => History | undefined;
}

const pick = <Item>(items: readonly Item[], choose: (below: number) => number): Item | undefined =>
  items.length === 0 ? undefined : items[choose(items.length)];
const insert = <Item>(items: readonly Item[], item: Item, choose: (below: number) => number): Item[] =>
  items.toSpliced(choose(items.length + 1), 0, item);

function swapFirsts<Entry extends { readonly messageId: string }>(
  entries: readonly Entry[],
  readerOf: (entry: Entry) => string,
  history: History,
  choose: (below: number) => number,
): Entry[] | undefined {
  const rows = new Map(history.ledger.map((row) => [row.messageId, row]));
  const chosen = pick(entries, choose);
  const row = chosen === undefined ? undefined : rows.get(chosen.messageId);
  if (chosen === undefined || row === undefined || row.key === null) return undefined;
  const mate = pick(
    entries.filter((each) => {
      const other = rows.get(each.messageId);
      return (
        readerOf(each) === readerOf(chosen) && each.messageId !== chosen.messageId && other?.topic === row.topic && other.key === row.key
      );
    }),
    choose,
  );
  if (mate === undefined) return undefined;
  const as = new Map([
    [chosen.messageId, mate],
    [mate.messageId, chosen],
  ]);
  return entries.map((each) => (readerOf(each) === readerOf(chosen) ? (as.get(each.messageId) ?? each) : each));
}

/** Leaves no sign of a message at any reader, so that only its origin is judged. */
const erase = (history: History, id: string): History => ({
  ...history,
  received: history.received.filter((each) => each.messageId !== id),
  effects: history.effects.filter((each) => each.messageId !== id),
  deadLetters: history.deadLetters.filter((each) => each.messageId !== id),
  ...(history.handled === undefined ? {} : { handled: history.handled.filter((each) => each.messageId !== id) }),
});

const sabotages: readonly Sabotage[] = [
  {
    name: "drop every record of a message at a subscription",
    code: "NL",
    spoil(history, choose) {
      const victim = pick(history.received, choose);
      if (victim === undefined) return undefined;
      return {
        ...history,
        received: history.received.filter((each) => each.messageId !== victim.messageId || each.subscription !== victim.subscription),
      };
    },
  },
  {
    name: "drop an effect with its dedupe row",
    code: "NL",
    spoil(history, choose) {
      const victim = pick(history.effects, choose);
      if (victim === undefined) return undefined;
      const isOther = (each: { consumer: string; messageId: string }): boolean =>
        each.messageId !== victim.messageId || each.consumer !== victim.consumer;
      return {
        ...history,
        effects: history.effects.filter(isOther),
        ...(history.handled === undefined ? {} : { handled: history.handled.filter(isOther) }),
      };
    },
  },
  {
    name: "let the last dead letter of a key vanish",
    code: "NL",
    spoil(history, choose) {
      const dead = history.deadLetters.filter(
        (each) => each.state === "held" || !history.deadLetters.some((other) => other.state === "held"),
      );
      const victim = pick(dead, choose);
      return victim === undefined ? undefined : { ...history, deadLetters: history.deadLetters.filter((each) => each !== victim) };
    },
  },
  {
    name: "deliver a message that did not commit",
    code: "NG",
    spoil(history, choose) {
      const rows = new Set(history.ledger.map((row) => row.messageId));
      const ghost = pick(
        history.intents.filter((each) => !rows.has(each.messageId)),
        choose,
      );
      if (ghost === undefined) return undefined;
      const record = { subscription: "first", messageId: ghost.messageId, payloadDigest: ghost.payloadDigest ?? "" };
      return { ...history, received: insert(history.received, record, choose) };
    },
  },
  {
    name: "deliver a message that nobody wrote",
    code: "NG",
    spoil: (history, choose) => ({
      ...history,
      received: insert(history.received, { subscription: "first", messageId: "foreign", payloadDigest: "" }, choose),
    }),
  },
  {
    name: "have an effect of a message that nobody wrote",
    code: "NG",
    spoil: (history, choose) => ({ ...history, effects: insert(history.effects, { consumer: "mail", messageId: "foreign" }, choose) }),
  },
  {
    name: "let a record drift",
    code: "NG",
    spoil(history, choose) {
      const victim = pick(history.received, choose);
      if (victim === undefined) return undefined;
      const drifts: Partial<Received>[] = [{ payloadDigest: "other" }, { topic: "other" }, { key: "other" }, { sequence: 0n }];
      const drift = pick(drifts, choose);
      return { ...history, received: history.received.map((each) => (each === victim ? { ...each, ...drift } : each)) };
    },
  },
  {
    name: "have an effect twice",
    code: "ND",
    spoil(history, choose) {
      const victim = pick(history.effects, choose);
      return victim === undefined ? undefined : { ...history, effects: [...history.effects, victim] };
    },
  },
  {
    name: "swap first publications of a key",
    code: "OK",
    spoil(history, choose) {
      const received = swapFirsts(history.received, (each) => each.subscription, history, choose);
      return received === undefined ? undefined : { ...history, received };
    },
  },
  {
    name: "swap first effects of a key",
    code: "OK",
    spoil(history, choose) {
      const effects = swapFirsts(history.effects, (each) => each.consumer, history, choose);
      return effects === undefined ? undefined : { ...history, effects };
    },
  },
  {
    name: "leave a lease, a range, a row or a copy behind",
    code: "QS",
    spoil(history, choose) {
      const id = history.ledger.at(-1)?.sequence;
      if (id === undefined) return undefined;
      const left = [{ owner: "left", isLeaseValid: true }, { openRanges: [{ lo: 1n, hi: 1n }] }, { lastId: id - 1n }, { spilled: 1 }];
      const at = choose(history.subscriptions.length);
      return {
        ...history,
        subscriptions: history.subscriptions.map((each, position) => (position === at ? { ...each, ...pick(left, choose) } : each)),
      };
    },
  },
  {
    name: "keep one half of an unknown outcome",
    code: "half",
    spoil(history, choose) {
      const victim = pick(
        history.intents.filter(
          (each) => each.outcome === "unknown" && !history.deadLetters.some((letter) => letter.messageId === each.messageId),
        ),
        choose,
      );
      if (victim === undefined) return undefined;
      const id = victim.messageId;
      const businessRows = history.businessRows ?? [];
      if (!businessRows.includes(id)) return { ...history, businessRows: [...businessRows, id] };
      return choose(2) === 0
        ? { ...history, businessRows: businessRows.filter((each) => each !== id) }
        : { ...erase(history, id), ledger: history.ledger.filter((each) => each.messageId !== id) };
    },
  },
];

const runs = { numRuns: 300 };

describe("a valid history", () => {
  it("passes, whatever was repeated, interleaved, rolled back or given up", () => {
    fc.assert(
      fc.property(validHistory, (history) => {
        const verdict = audit(history, { effort: { committedMin: 0 } });
        expect(verdict.witnesses).toEqual([]);
        expect(verdict.verdict).toBe("passed");
        expect(verdict.counts.committed).toBe(history.ledger.length);
      }),
      runs,
    );
  });

  it("is judged alike after a way through JSON", () => {
    fc.assert(
      fc.property(validHistory, (history) => {
        expect(audit(parseHistory(formatHistory(history)))).toEqual(audit(history));
      }),
      { numRuns: 50 },
    );
  });
});

describe("a valid history spoilt in one place", () => {
  for (const { name, code, spoil } of sabotages) {
    it(`fails for ${code} alone: ${name}`, () => {
      let spoilt = 0;
      fc.assert(
        fc.property(validHistory, fc.array(fc.nat({ max: 997 }), { minLength: 1, maxLength: 8 }), (history, numbers) => {
          const sabotaged = spoil(history, chooser(numbers));
          if (sabotaged === undefined) return;
          spoilt += 1;
          const verdict = audit(sabotaged);
          expect(verdict.verdict).toBe("failed");
          expect([...new Set(verdict.witnesses.map((witness) => witness.code))]).toEqual([code]);
        }),
        runs,
      );
      expect(spoilt).toBeGreaterThan(10);
    });
  }
});
