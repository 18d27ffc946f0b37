import { describe, expect, it } from "vitest";
import { audit } from "./audit.ts";
import { AuditInputError } from "./audit-input-error.ts";
import type { DeadLetter, Effect, History, Intent, LedgerRow, Received, SubscriptionState } from "./history.ts";
import type { Counts, Verdict } from "./verdict.ts";

/**
 * The clean run that each test spoils in one place. Ledger, topic orders:
 *
 *     1 a1  2 b1  (3 rolled back)  4 a2  5 a3  6 none  (7 rolled back)  8 found  9 raw
 */
const intent = (messageId: string, key: string | null, more: Partial<Intent> = {}): Intent => ({
  messageId,
  topic: "orders",
  key,
  outcome: "committed",
  payloadDigest: `bytes of ${messageId}`,
  ...more,
});
const row = (sequence: bigint, messageId: string, key: string | null): LedgerRow => ({
  sequence,
  messageId,
  type: "shop.order.placed.v1",
  topic: "orders",
  key,
  payloadDigest: `bytes of ${messageId}`,
});
const record = (messageId: string, more: Partial<Received> = {}): Received => ({
  subscription: "default",
  messageId,
  payloadDigest: `bytes of ${messageId}`,
  ...more,
});
const effect = (messageId: string, more: Partial<Effect> = {}): Effect => ({ consumer: "inventory", messageId, ...more });
const letter = (messageId: string, state: DeadLetter["state"], more: Partial<DeadLetter> = {}): DeadLetter => ({
  origin: "relay",
  reader: "default",
  messageId,
  state,
  ...more,
});

const idle: SubscriptionState = { subscription: "default", lastId: 9n, openRanges: [], owner: null, isLeaseValid: false };

const clean: History = {
  intents: [
    intent("a1", "a", { order: 1 }),
    intent("b1", "b", { order: 1 }),
    intent("back", "a", { outcome: "rolledBack", order: 2 }),
    intent("a2", "a", { order: 2 }),
    intent("a3", "a", { order: 3 }),
    intent("free", null),
    intent("absent", "a", { outcome: "unknown", order: 4 }),
    intent("found", "b", { outcome: "unknown", order: 2 }),
  ],
  businessRows: ["a1", "b1", "a2", "a3", "free", "found"],
  ledger: [
    row(1n, "a1", "a"),
    row(2n, "b1", "b"),
    row(4n, "a2", "a"),
    row(5n, "a3", "a"),
    row(6n, "free", null),
    row(8n, "found", "b"),
    row(9n, "raw", "a"),
  ],
  subscriptions: [idle],
  received: ["b1", "a1", "a2", "a1", "a2", "free", "a3", "found", "raw", "a1"].map((id) => record(id)),
  deadLetters: [],
  consumers: [{ consumer: "inventory" }],
  effects: ["b1", "a1", "free", "a2", "found", "a3", "raw"].map((id) => effect(id)),
  handled: ["a1", "a2", "a3", "b1", "found", "free", "raw"].map((messageId) => ({ consumer: "inventory", messageId })),
};

const without = (list: readonly { readonly messageId: string }[], id: string): readonly never[] =>
  list.filter((each) => each.messageId !== id) as never[];
const { handled: _, ...cleanWithoutHandled } = clean;
const { businessRows: __, ...cleanWithoutBusinessRows } = clean;

/** The verdict fails, for one invariant, in one figure, with one witness. */
function expectOnly(verdict: Verdict, code: string, figure: keyof Counts, by = 1): void {
  expect(verdict.witnesses.map((witness) => witness.code)).toEqual([code]);
  expect(verdict.verdict).toBe("failed");
  const faults: (keyof Counts)[] = [
    "lost",
    "ghosts",
    "drifted",
    "doubled",
    "outOfOrder",
    "half",
    "leased",
    "openRanges",
    "unread",
    "unfinished",
  ];
  for (const name of faults) expect({ name, count: verdict.counts[name] }).toEqual({ name, count: name === figure ? by : 0 });
  expect(verdict.witnesses[0]?.trace.length).toBeGreaterThan(0);
}

describe("a clean run", () => {
  it("passes, with its figures", () => {
    expect(audit(clean)).toEqual({
      verdict: "passed",
      counts: {
        committed: 7,
        rolledBack: 2,
        unknown: 2,
        published: 7,
        repeated: 3,
        effects: 7,
        lost: 0,
        ghosts: 0,
        drifted: 0,
        doubled: 0,
        outOfOrder: 0,
        half: 0,
        leased: 0,
        openRanges: 0,
        unread: 0,
        unfinished: 0,
      },
      witnesses: [],
      reasons: [],
    });
  });

  it("does not depend on the order of ledger rows, intents and dedupe rows", () => {
    const shuffled = {
      ...clean,
      ledger: clean.ledger.toReversed(),
      intents: clean.intents.toReversed(),
      handled: clean.handled?.toReversed() ?? [],
    };
    expect(audit(shuffled)).toEqual(audit(clean));
  });

  it("passes when a lease of a killed relay has run out", () => {
    expect(audit({ ...clean, subscriptions: [{ ...idle, owner: "killed" }] }).verdict).toBe("passed");
  });

  it("passes by fences, which are read and never published", () => {
    const fence = { ...row(3n, "fence", null), type: "", topic: "" };
    expect(audit({ ...clean, ledger: [...clean.ledger, fence] }).verdict).toBe("passed");
  });

  it("does not expect a topic where it is not covered", () => {
    const stock = { ...row(7n, "s1", "s"), topic: "stock" };
    const history = {
      ...clean,
      ledger: [...clean.ledger, stock],
      received: [...clean.received, record("s1")],
      consumers: [{ consumer: "inventory", topics: ["orders"] }],
    };
    expect(audit(history).verdict).toBe("passed");
    const second = { ...idle, subscription: "second", topics: ["stock"] };
    const both = { ...history, subscriptions: [{ ...idle, topics: ["orders", "stock"] }, second] };
    expectOnly(audit(both), "NL", "lost");
    expect(audit({ ...both, received: [...both.received, record("s1", { subscription: "second" })] }).verdict).toBe("passed");
  });
});

describe("no loss", () => {
  it("flags a committed message that was never received", () => {
    const verdict = audit({ ...clean, received: without(clean.received, "a2") });
    expectOnly(verdict, "NL", "lost");
    expect(verdict.witnesses[0]).toMatchObject({ messageId: "a2", sequence: "4", reader: "default" });
    expect(verdict.witnesses[0]?.trace.map((step) => step.source)).toEqual(["intents", "businessRows", "ledger"]);
  });

  it("flags a row without a journal that was never received", () => {
    expectOnly(audit({ ...clean, received: without(clean.received, "raw") }), "NL", "lost");
  });

  it("flags a message of unknown outcome that is there and was never received", () => {
    expectOnly(audit({ ...clean, received: without(clean.received, "found") }), "NL", "lost");
  });

  it("flags a committed message whose row is gone and that was never received", () => {
    expectOnly(audit({ ...clean, received: without(clean.received, "a3"), ledger: without(clean.ledger, "a3") }), "NL", "lost");
  });

  it("flags a received message without its effect", () => {
    const verdict = audit({ ...cleanWithoutHandled, effects: without(clean.effects, "b1") });
    expectOnly(verdict, "NL", "lost");
    expect(verdict.witnesses[0]).toMatchObject({ messageId: "b1", reader: "inventory" });
    expect(verdict.witnesses[0]?.trace.at(-1)).toMatchObject({ source: "received", position: 0 });
  });

  it("flags what one of two subscriptions missed", () => {
    const second = clean.ledger.map((each) => record(each.messageId, { subscription: "second" }));
    const both = { ...clean, subscriptions: [idle, { ...idle, subscription: "second" }] };
    expect(audit({ ...both, received: [...clean.received, ...second] }).verdict).toBe("passed");
    const verdict = audit({ ...both, received: [...clean.received, ...without(second, "free")] });
    expectOnly(verdict, "NL", "lost");
    expect(verdict.witnesses[0]?.reader).toBe("second");
  });

  it("accepts a dead letter in place of a reception or an effect", () => {
    for (const state of ["dead", "discarded"] as const) {
      const unpublished = { ...cleanWithoutHandled, received: without(clean.received, "free"), effects: without(clean.effects, "free") };
      expect(audit({ ...unpublished, deadLetters: [letter("free", state)] }).verdict).toBe("passed");
      const unhandled = { ...cleanWithoutHandled, effects: without(clean.effects, "free") };
      expect(audit({ ...unhandled, deadLetters: [letter("free", state, { origin: "inbox", reader: "inventory" })] }).verdict).toBe(
        "passed",
      );
    }
  });

  it("excuses an inbox by the dead letter of the subscription that feeds it, and by no other", () => {
    const second = clean.ledger.map((each) => record(each.messageId, { subscription: "second" }));
    const history: History = {
      ...cleanWithoutHandled,
      subscriptions: [idle, { ...idle, subscription: "second" }],
      received: [...clean.received, ...without(second, "free")],
      effects: without(clean.effects, "free"),
      deadLetters: [letter("free", "dead", { reader: "second" })],
    };
    expect(audit({ ...history, consumers: [{ consumer: "inventory", subscription: "second" }] }).verdict).toBe("passed");
    expectOnly(audit({ ...history, consumers: [{ consumer: "inventory", subscription: "default" }] }), "NL", "lost");
  });

  it("flags a dead letter that vanished", () => {
    const unpublished = { ...cleanWithoutHandled, received: without(clean.received, "raw"), effects: without(clean.effects, "raw") };
    expect(audit({ ...unpublished, deadLetters: [letter("raw", "dead")] }).verdict).toBe("passed");
    expectOnly(audit(unpublished), "NL", "lost");
  });

  it("does not believe a dead letter that says it was done", () => {
    const unpublished = { ...cleanWithoutHandled, received: without(clean.received, "free"), effects: without(clean.effects, "free") };
    expectOnly(audit({ ...unpublished, deadLetters: [letter("free", "done")] }), "NL", "lost");
    expect(audit({ ...clean, deadLetters: [letter("free", "done")] }).verdict).toBe("passed");
  });

  it("does not excuse one reader by the dead letter of another of the same name", () => {
    const consumers = [{ consumer: "default" }];
    const effects = without(
      clean.effects.map((each) => ({ ...each, consumer: "default" })),
      "free",
    );
    expect(audit({ ...cleanWithoutHandled, consumers, effects, deadLetters: [letter("free", "dead", { origin: "inbox" })] }).verdict).toBe(
      "passed",
    );
    expectOnly(audit({ ...cleanWithoutHandled, consumers, effects, deadLetters: [letter("free", "dead")] }), "NL", "lost");
  });
});

describe("no ghost", () => {
  it("flags a received message whose transaction rolled back", () => {
    const verdict = audit({ ...clean, received: [...clean.received, record("back"), record("back")] });
    expectOnly(verdict, "NG", "ghosts");
    expect(verdict.witnesses[0]?.trace.map((step) => [step.source, step.position])).toEqual([
      ["intents", 2],
      ["received", 10],
    ]);
  });

  it("flags a received message of unknown outcome that is not there", () => {
    expectOnly(audit({ ...clean, received: [...clean.received, record("absent")] }), "NG", "ghosts");
  });

  it("flags a received message that nobody wrote", () => {
    expectOnly(audit({ ...clean, received: [...clean.received, record("foreign")] }), "NG", "ghosts");
  });

  it("flags a ledger row whose transaction rolled back", () => {
    expectOnly(audit({ ...clean, ledger: [...clean.ledger, row(3n, "back", "a")] }), "NG", "ghosts");
  });

  it("flags an effect, a dedupe row and a dead letter of a message that did not commit or that nobody wrote", () => {
    for (const id of ["back", "absent", "foreign"]) {
      expectOnly(audit({ ...clean, effects: [...clean.effects, effect(id)] }), "NG", "ghosts");
      expectOnly(audit({ ...clean, handled: [...(clean.handled ?? []), { consumer: "inventory", messageId: id }] }), "NG", "ghosts");
      expectOnly(audit({ ...clean, deadLetters: [letter(id, "dead")] }), "NG", "ghosts");
    }
  });

  it("counts a ghost once, wherever it was seen", () => {
    const verdict = audit({ ...clean, received: [...clean.received, record("back")], effects: [...clean.effects, effect("back")] });
    expectOnly(verdict, "NG", "ghosts");
  });

  it("flags bytes that differ from those stored", () => {
    const other = { payloadDigest: "other bytes" };
    expectOnly(audit({ ...clean, received: [...clean.received, record("a1", other)] }), "NG", "drifted");
    expectOnly(audit({ ...clean, deadLetters: [letter("a1", "done", other)] }), "NG", "drifted");
    const drifted = clean.effects.map((each) => (each.messageId === "a1" ? { ...each, ...other } : each));
    expectOnly(audit({ ...clean, effects: drifted }), "NG", "drifted");
  });

  it("flags bytes that differ from the journaled ones where the row is gone", () => {
    const gone = { ...clean, ledger: without(clean.ledger, "free") };
    expect(audit(gone).verdict).toBe("passed");
    expectOnly(audit({ ...gone, received: [...clean.received, record("free", { payloadDigest: "other bytes" })] }), "NG", "drifted");
  });

  it("flags a row that does not carry what its writer meant", () => {
    for (const more of [{ payloadDigest: "other bytes" }, { topic: "payments" }, { key: "c" }]) {
      const intents = clean.intents.map((each) => (each.messageId === "free" ? { ...each, ...more } : each));
      expectOnly(audit({ ...clean, intents }), "NG", "drifted");
    }
  });

  it("flags another topic, key or sequence at the destination, and no more than it tells", () => {
    for (const more of [{ topic: "payments" }, { key: "b" }, { key: null }, { sequence: 2n }]) {
      expectOnly(audit({ ...clean, received: [...clean.received, record("a1", more)] }), "NG", "drifted");
    }
    const told = { topic: "orders", key: "a", sequence: 1n };
    expect(audit({ ...clean, received: [...clean.received, record("a1", told), record("a1", { sequence: null })] }).verdict).toBe("passed");
  });
});

describe("no double", () => {
  it("flags a second effect of a message, once", () => {
    const verdict = audit({ ...clean, effects: [...clean.effects, effect("a1"), effect("a1")] });
    expectOnly(verdict, "ND", "doubled");
    expect(verdict.witnesses[0]?.trace.map((step) => step.position)).toEqual([1, 7]);
  });

  it("flags an effect that counts more than one", () => {
    const effects = clean.effects.map((each) => (each.messageId === "a1" ? { ...each, count: 2 } : each));
    expectOnly(audit({ ...clean, effects }), "ND", "doubled");
  });

  it("accepts one effect in each of two consumers", () => {
    const effects = clean.effects.flatMap((each) => [each, { ...each, consumer: "mail" }]);
    expect(audit({ ...cleanWithoutHandled, consumers: [...clean.consumers, { consumer: "mail" }], effects }).verdict).toBe("passed");
  });

  it("flags a second ledger row of a message", () => {
    expectOnly(audit({ ...clean, ledger: [...clean.ledger, row(7n, "a1", "a")] }), "ND", "doubled");
    expectOnly(audit({ ...clean, ledger: [...clean.ledger, row(3n, "free", null), row(7n, "free", null)] }), "ND", "doubled");
  });
});

describe("order per key", () => {
  const inOrder = (...ids: string[]): Received[] => ids.map((id) => record(id));

  it("flags first publications that are swapped", () => {
    const verdict = audit({ ...clean, received: inOrder("b1", "a2", "a1", "a3", "free", "found", "raw") });
    expectOnly(verdict, "OK", "outOfOrder");
    expect(verdict.witnesses[0]).toMatchObject({ messageId: "a1", reader: "default" });
    expect(verdict.witnesses[0]?.trace.map((step) => [step.source, step.messageId])).toEqual([
      ["ledger", "a1"],
      ["ledger", "a2"],
      ["received", "a2"],
      ["received", "a1"],
    ]);
  });

  it("shows the first of each, not the repetitions", () => {
    const verdict = audit({ ...clean, received: inOrder("a2", "a2", "a1", "a1", "a2", "a3", "raw", "b1", "free", "found") });
    expectOnly(verdict, "OK", "outOfOrder");
    expect(verdict.witnesses[0]?.trace.slice(2).map((step) => step.position)).toEqual([0, 2]);
  });

  it("counts each message that came too late", () => {
    expect(audit({ ...clean, received: inOrder("raw", "a1", "a2", "a3", "b1", "found", "free") }).counts.outOfOrder).toBe(3);
  });

  it("judges no order in a topic whose writers do not exclude each other", () => {
    const late: History = { ...clean, received: inOrder("raw", "a1", "a2", "a3", "b1", "found", "free") };
    expect(audit({ ...late, unorderedTopics: ["orders"] })).toMatchObject({ verdict: "passed", counts: { outOfOrder: 0 } });
    expect(audit({ ...late, unorderedTopics: ["payments"] }).counts.outOfOrder).toBe(3);
  });

  it("accepts repetitions in any later place", () => {
    expect(
      audit({ ...clean, received: inOrder("a1", "a2", "a1", "a3", "a2", "a1", "raw", "a1", "b1", "found", "b1", "free") }).verdict,
    ).toBe("passed");
  });

  it("accepts any order between keys and of messages without one", () => {
    const ledger = [...clean.ledger, row(10n, "free2", null)];
    const effects = ["free2", "free", "b1", "found", "a1", "a2", "a3", "raw"].map((id) => effect(id));
    const history = { ...cleanWithoutHandled, ledger, effects, subscriptions: [{ ...idle, lastId: 10n }] };
    expect(audit({ ...history, received: inOrder("free2", "b1", "free", "a1", "found", "a2", "a3", "raw") }).verdict).toBe("passed");
  });

  it("keeps one key of two topics apart", () => {
    const stock = { ...row(10n, "s1", "a"), topic: "stock" };
    const history = { ...clean, consumers: [{ consumer: "inventory", topics: ["orders"] }], subscriptions: [{ ...idle, lastId: 10n }] };
    expect(audit({ ...history, ledger: [...clean.ledger, stock], received: [record("s1"), ...clean.received] }).verdict).toBe("passed");
  });

  it("flags first effects that are swapped", () => {
    const effects = ["b1", "a2", "a1", "free", "found", "a3", "raw"].map((id) => effect(id));
    const verdict = audit({ ...clean, effects });
    expectOnly(verdict, "OK", "outOfOrder");
    expect(verdict.witnesses[0]).toMatchObject({ messageId: "a1", reader: "inventory" });
  });

  it("flags a ledger that is not in the order of its writers", () => {
    const orders = new Map([
      ["a1", 2],
      ["a2", 1],
    ]);
    const intents = clean.intents.map((each) => ({ ...each, order: orders.get(each.messageId) ?? each.order ?? 0 }));
    expectOnly(audit({ ...clean, intents }), "OK", "outOfOrder");
  });

  it("does not expect a place for what was discarded and arrived all the same", () => {
    const received = inOrder("b1", "a2", "a3", "a1", "raw", "free", "found");
    const effects = ["b1", "a2", "a3", "a1", "raw", "free", "found"].map((id) => effect(id));
    expect(audit({ ...clean, received, effects, deadLetters: [letter("a1", "discarded")] }).verdict).toBe("passed");
    expect(audit({ ...clean, received, effects, deadLetters: [letter("a1", "done")] }).counts.outOfOrder).toBe(2);
  });

  it("lets a released dead letter come late only where its followers did not wait for it", () => {
    const received = inOrder("b1", "a2", "a3", "raw", "free", "found", "a1");
    const effects = ["b1", "a2", "a3", "raw", "free", "found", "a1"].map((id) => effect(id));
    const late = { ...clean, received, effects, deadLetters: [letter("a1", "done")] };
    expect(audit({ ...late, subscriptions: [{ ...idle, keyPolicy: "skip" }] }).verdict).toBe("passed");
    expect(audit(late).counts.outOfOrder).toBe(2);
    expect(audit({ ...late, subscriptions: [{ ...idle, keyPolicy: "stop" }] }).counts.outOfOrder).toBe(2);
  });
});

describe("quiescence", () => {
  it("flags a lease that is still held", () => {
    expectOnly(audit({ ...clean, subscriptions: [{ ...idle, owner: "left over", isLeaseValid: true }] }), "QS", "leased");
  });

  it("accepts a lease that nobody holds", () => {
    expect(audit({ ...clean, subscriptions: [{ ...idle, owner: null, isLeaseValid: true }] }).verdict).toBe("passed");
  });

  it("flags a range that is still open", () => {
    expectOnly(audit({ ...clean, subscriptions: [{ ...idle, openRanges: [{ lo: 3n, hi: 3n }] }] }), "QS", "openRanges");
  });

  it("flags rows beyond the cursor", () => {
    expectOnly(audit({ ...clean, subscriptions: [{ ...idle, lastId: 7n }] }), "QS", "unread", 2);
  });

  it("flags spilled messages that were not published", () => {
    expectOnly(audit({ ...clean, subscriptions: [{ ...idle, spilled: 3 }] }), "QS", "unfinished", 3);
  });

  it("flags a dead letter that was released and not done", () => {
    expectOnly(audit({ ...clean, deadLetters: [letter("a1", "released")] }), "QS", "unfinished");
    const unpublished = { ...cleanWithoutHandled, received: without(clean.received, "free"), effects: without(clean.effects, "free") };
    expectOnly(audit({ ...unpublished, deadLetters: [letter("free", "released")] }), "QS", "unfinished");
  });

  it("flags a held message with nothing dead before it", () => {
    const waiting = { ...cleanWithoutHandled, received: without(clean.received, "raw"), effects: without(clean.effects, "raw") };
    expectOnly(audit({ ...waiting, deadLetters: [letter("raw", "held")] }), "QS", "unfinished");
    const behind = { ...waiting, received: without(waiting.received, "a3"), effects: without(waiting.effects, "a3") };
    expect(audit({ ...behind, deadLetters: [letter("raw", "held"), letter("a3", "dead")] }).verdict).toBe("passed");
    expectOnly(audit({ ...behind, deadLetters: [letter("raw", "held"), letter("a3", "discarded")] }), "QS", "unfinished");
  });

  it("takes the first dead letter of a key at the same subscription for what a held message waits for", () => {
    const ids = ["a2", "a3", "raw"];
    const waiting = { ...cleanWithoutHandled, received: clean.received.filter((each) => !ids.includes(each.messageId)) };
    const history = { ...waiting, effects: clean.effects.filter((each) => !ids.includes(each.messageId)) };
    expect(audit({ ...history, deadLetters: [letter("a2", "dead"), letter("a3", "held"), letter("raw", "dead")] }).verdict).toBe("passed");
    expect(audit({ ...history, deadLetters: [letter("raw", "dead"), letter("a3", "held"), letter("a2", "dead")] }).verdict).toBe("passed");
    const second = clean.ledger.map((each) => record(each.messageId, { subscription: "second" }));
    const both = { ...history, subscriptions: [idle, { ...idle, subscription: "second" }], received: [...history.received, ...second] };
    const deadElsewhere = [letter("a2", "done"), letter("a2", "dead", { reader: "second" }), letter("a3", "held"), letter("raw", "held")];
    const received = [...both.received, record("a2")];
    expect(audit({ ...both, received, deadLetters: deadElsewhere }).counts.unfinished).toBe(2);
  });

  it("accepts what an inbox holds without anything dead before it, as it does with unknown types", () => {
    const waiting = { ...cleanWithoutHandled, effects: without(clean.effects, "raw") };
    expect(audit({ ...waiting, deadLetters: [letter("raw", "held", { origin: "inbox", reader: "inventory" })] }).verdict).toBe("passed");
  });
});

describe("half", () => {
  const unpublished = (id: string): History => ({
    ...clean,
    received: without(clean.received, id),
    effects: without(clean.effects, id),
    handled: without(clean.handled ?? [], id),
  });

  it("flags an unknown outcome of which only the business row is there", () => {
    expectOnly(audit({ ...unpublished("found"), ledger: without(clean.ledger, "found") }), "half", "half");
    expectOnly(audit({ ...clean, businessRows: [...(clean.businessRows ?? []), "absent"] }), "half", "half");
  });

  it("flags an unknown outcome of which only the message row is there", () => {
    expectOnly(audit({ ...clean, businessRows: clean.businessRows?.filter((id) => id !== "found") ?? [] }), "half", "half");
    expectOnly(audit({ ...clean, ledger: [...clean.ledger, row(7n, "absent", "a")] }), "half", "half");
  });

  it("accepts an unknown outcome that is wholly there or wholly absent", () => {
    expect(
      audit({
        ...unpublished("found"),
        ledger: without(clean.ledger, "found"),
        businessRows: clean.businessRows?.filter((id) => id !== "found") ?? [],
      }).verdict,
    ).toBe("passed");
  });

  it("accepts an unknown outcome whose message row is gone when the message was received or given up", () => {
    const gone = { ...cleanWithoutHandled, ledger: without(clean.ledger, "found") };
    expect(audit(gone).verdict).toBe("passed");
    const unpublished = { ...gone, received: without(clean.received, "found"), effects: without(clean.effects, "found") };
    expect(audit({ ...unpublished, deadLetters: [letter("found", "dead")] }).verdict).toBe("passed");
  });

  it("flags a committed message without its business row", () => {
    expectOnly(audit({ ...clean, businessRows: clean.businessRows?.filter((id) => id !== "a1") ?? [] }), "half", "half");
  });

  it("flags a business row that outlived its rollback, and one that nobody journaled", () => {
    expectOnly(audit({ ...clean, businessRows: [...(clean.businessRows ?? []), "back"] }), "half", "half");
    expectOnly(audit({ ...clean, businessRows: [...(clean.businessRows ?? []), "foreign"] }), "half", "half");
    const received = [...clean.received, record("foreign")];
    expectOnly(audit({ ...clean, received, businessRows: [...(clean.businessRows ?? []), "foreign"] }), "half", "half");
  });

  it("flags a dedupe row without its effect, and an effect without its dedupe row", () => {
    expectOnly(audit({ ...clean, effects: without(clean.effects, "a1") }), "half", "half");
    expectOnly(audit({ ...clean, handled: without(clean.handled ?? [], "a1") }), "half", "half");
  });
});

describe("effort", () => {
  it("leaves a run without the demanded faults inconclusive, never passed", () => {
    const verdict = audit(clean, { effort: { faultsMin: 1 } });
    expect(verdict.verdict).toBe("inconclusive");
    expect(verdict.reasons).toEqual(["faults observed: 0 of at least 1"]);
  });

  it("counts only faults whose effect was observed", () => {
    const kill = (isObserved: boolean) => ({ kind: "kill", isObserved });
    expect(audit({ ...clean, faults: [kill(false), kill(true)] }, { effort: { faultsMin: 2 } }).verdict).toBe("inconclusive");
    expect(audit({ ...clean, faults: [kill(true), kill(true)] }, { effort: { faultsMin: 2 } }).verdict).toBe("passed");
  });

  it("demands each kind of effort for itself", () => {
    const met = { committedMin: 7, rolledBackMin: 2, unknownMin: 2, repeatedMin: 3, takeoversMin: 1 };
    expect(audit({ ...clean, takeovers: 1 }, { effort: met }).verdict).toBe("passed");
    for (const [name, least] of Object.entries(met)) {
      const verdict = audit({ ...clean, takeovers: 1 }, { effort: { ...met, [name]: least + 1 } });
      expect({ name, verdict: verdict.verdict, reasons: verdict.reasons.length }).toEqual({ name, verdict: "inconclusive", reasons: 1 });
    }
  });

  it("fails a run that broke something, however little effort it took", () => {
    const verdict = audit({ ...clean, received: without(clean.received, "a1") }, { effort: { faultsMin: 1 } });
    expect(verdict).toMatchObject({ verdict: "failed", reasons: ["faults observed: 0 of at least 1"] });
  });

  it("leaves an empty run and a run without subscriptions inconclusive", () => {
    const empty: History = { intents: [], ledger: [], subscriptions: [idle], received: [], deadLetters: [], consumers: [], effects: [] };
    expect(audit(empty).verdict).toBe("inconclusive");
    expect(audit({ ...empty, ledger: [row(1n, "a1", "a")], subscriptions: [] }).verdict).toBe("inconclusive");
  });

  it("leaves unknown outcomes inconclusive when nobody read the business rows", () => {
    expect(audit(cleanWithoutBusinessRows)).toMatchObject({ verdict: "inconclusive", counts: { unknown: 2 } });
  });
});

describe("witnesses", () => {
  it("are at most twenty, every broken invariant among them", () => {
    const ids = Array.from({ length: 100 }, (_, at) => `m${at}`);
    const history: History = {
      ...clean,
      ledger: [...clean.ledger, ...ids.map((id, at) => row(BigInt(at + 10), id, null))],
      received: [...clean.received, record("foreign")],
      effects: [...clean.effects, effect("a1")],
    };
    const { witnesses, counts } = audit(history);
    expect(witnesses).toHaveLength(20);
    expect(new Set(witnesses.map((witness) => witness.code))).toEqual(new Set(["NL", "NG", "ND", "QS"]));
    expect(counts.lost).toBe(100);
  });

  it("tell neither keys nor digests", () => {
    const secret = "canary-4711";
    const ledger = clean.ledger.map((each) => ({ ...each, key: secret, payloadDigest: secret }));
    const verdict = audit({
      ...clean,
      intents: [],
      ledger,
      received: [...clean.received, record("foreign")],
      subscriptions: [{ ...idle, lastId: 0n }],
    });
    expect(verdict.verdict).toBe("failed");
    expect(JSON.stringify(verdict)).not.toContain(secret);
  });
});

describe("a history that contradicts itself", () => {
  it("is an input error, not a verdict", () => {
    const spoilt: History[] = [
      { ...clean, intents: [...clean.intents, intent("a1", "a")] },
      { ...clean, subscriptions: [idle, idle] },
      { ...clean, consumers: [...clean.consumers, ...clean.consumers] },
      { ...clean, received: [record("a1", { subscription: "other" })] },
      { ...clean, effects: [effect("a1", { consumer: "other" })] },
      { ...clean, deadLetters: [letter("a1", "dead", { origin: "inbox" })] },
      { ...clean, handled: [{ consumer: "other", messageId: "a1" }] },
    ];
    for (const history of spoilt) expect(() => audit(history)).toThrow(AuditInputError);
  });
});
