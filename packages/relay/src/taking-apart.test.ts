import { behindItsKey, type OutgoingMessage, type PublishOutcome, waybillError } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { notSent, publishApart } from "./taking-apart.ts";

const message = (id: number, key: string | null = null): OutgoingMessage => ({
  id: `m${id}`,
  type: "test.v1",
  topic: "orders",
  key,
  headers: new Map(),
  payload: null,
  sequence: BigInt(id),
  createdAtMs: 0,
});
const error = (reason: string) => waybillError("WAYBILL_TRANSPORT", "told to", { system: "test", reason, brokerCode: null });
const shown = (outcomes: readonly PublishOutcome[] | null): readonly string[] =>
  (outcomes ?? []).map((outcome) => (outcome.kind === "confirmed" ? "confirmed" : `${outcome.kind} ${outcome.error.facts.reason}`));

/** A receiver that takes or refuses whole calls. */
function wholeCalls(isBad: (id: number) => boolean) {
  const calls: number[][] = [];
  const stored: number[] = [];
  const publish = (batch: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[]> => {
    const ids = batch.map(({ sequence }) => Number(sequence));
    calls.push(ids);
    if (ids.some(isBad)) return Promise.resolve(batch.map(() => ({ kind: "rejected", error: error("bad") })));
    stored.push(...ids);
    return Promise.resolve(batch.map(() => ({ kind: "confirmed" })));
  };
  return { calls, stored, publish };
}
const always = (): boolean => true;
const nothing = (): void => undefined;

describe("a call that is rejected as a whole", () => {
  it("is taken apart until only the offender is left, in a handful of calls", async () => {
    const receiver = wholeCalls((id) => id === 37);
    const messages = Array.from({ length: 100 }, (_, place) => message(place + 1));
    const outcomes = shown(await publishApart(receiver.publish, messages, always, nothing));
    expect(outcomes.flatMap((outcome, place) => (outcome === "confirmed" ? [] : [[place + 1, outcome]]))).toEqual([[37, "rejected bad"]]);
    expect(receiver.stored).toHaveLength(99);
    expect(receiver.calls.length).toBeLessThan(18);
  });

  it("sends nothing of a key behind its rejected message", async () => {
    const receiver = wholeCalls((id) => id === 2);
    const messages = [message(1, "a"), message(2, "b"), message(3, "b"), message(4, "a")];
    const outcomes = await publishApart(receiver.publish, messages, always, nothing);
    expect(shown(outcomes)).toEqual(["confirmed", "rejected bad", `retry ${behindItsKey}`, "confirmed"]);
    expect(receiver.stored).toEqual([1, 4]);
  });

  it("full of bad ones ends after ten of them: the rest is left to the brake", async () => {
    const receiver = wholeCalls(() => true);
    const messages = Array.from({ length: 500 }, (_, place) => message(place + 1));
    const outcomes = shown(await publishApart(receiver.publish, messages, always, nothing));
    expect(outcomes.every((outcome) => outcome === "rejected bad")).toBe(true);
    expect(receiver.calls.length).toBeLessThan(40);
  });

  it("goes no further when its topic has to wait meanwhile", async () => {
    const receiver = wholeCalls((id) => id === 1);
    const messages = Array.from({ length: 4 }, (_, place) => message(place + 1));
    const outcomes = await publishApart(receiver.publish, messages, () => receiver.calls.length < 3, nothing);
    expect(shown(outcomes)).toEqual(["rejected bad", `retry ${notSent}`, `retry ${notSent}`, `retry ${notSent}`]);
    expect(receiver.stored).toEqual([]);
  });

  it("ends with its session", async () => {
    let calls = 0;
    const publish = (batch: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[] | null> => {
      calls += 1;
      return Promise.resolve(calls === 1 ? batch.map(() => ({ kind: "rejected", error: error("bad") }) as const) : null);
    };
    expect(await publishApart(publish, [message(1), message(2)], always, nothing)).toBeNull();
  });
});

it("a call in which one was confirmed or may be stored is left alone", async () => {
  for (const kind of ["confirmed", "unknown"] as const) {
    let calls = 0;
    const other: PublishOutcome = kind === "confirmed" ? { kind } : { kind, error: error("lost"), scope: "message" };
    const publish = (): Promise<readonly PublishOutcome[]> => {
      calls += 1;
      return Promise.resolve([{ kind: "rejected", error: error("bad") }, other]);
    };
    await publishApart(publish, [message(1), message(2)], always, nothing);
    expect(calls).toBe(1);
  }
});
