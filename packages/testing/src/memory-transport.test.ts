import type { OutgoingMessage, PublishOutcome } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { messageMaker } from "./contracts/message-maker.ts";
import { transportContract } from "./contracts/transport-contract.ts";
import { manualClock } from "./manual-clock.ts";
import { memoryTransport } from "./memory-transport.ts";

describe("the memory transport keeps the contract", () => {
  const cases = transportContract({
    create: async () => {
      const transport = memoryTransport();
      return {
        transport,
        received: async () => transport.received,
        harm: (messageId, harm) => {
          const when = (message: OutgoingMessage): boolean => message.id === messageId;
          const fault = { refuse: "reject", fail: "retry", silence: "drop" } as const;
          transport.inject({ kind: fault[harm], when, times: Number.POSITIVE_INFINITY });
        },
        dispose: () => transport.close({ deadlineMs: 100 }),
      };
    },
    capabilities: { harms: ["refuse", "fail", "silence"] },
  });
  for (const { name, run } of cases) it(name, run);
});

describe("a fault of the memory transport", () => {
  const make = messageMaker();
  const kinds = (outcomes: readonly PublishOutcome[]): readonly string[] => outcomes.map(({ kind }) => kind);

  it("delays a message until its time, and its key with it", async () => {
    const clock = manualClock();
    const transport = memoryTransport({ clock });
    const [late, behind, other] = [make({ key: "a" }), make({ key: "a" }), make({ key: "b" })];
    transport.inject({ kind: "delay", afterMs: 50, when: ({ id }) => id === late.id });
    const call = transport.publish([late, behind, other], { deadlineMs: 100 });
    await clock.advance(49);
    expect(transport.received).toEqual([other]);
    await clock.advance(1);
    expect(kinds(await call)).toEqual(["confirmed", "confirmed", "confirmed"]);
    expect(transport.received).toEqual([other, late, behind]);
    expect(clock.timers).toBe(0);
  });

  it("that delays beyond the deadline leaves the message unknown and never stores it", async () => {
    const clock = manualClock();
    const transport = memoryTransport({ clock });
    transport.inject({ kind: "delay", afterMs: 200 });
    const call = transport.publish([make()], { deadlineMs: 100 });
    await clock.advance(100);
    expect(kinds(await call)).toEqual(["unknown"]);
    await clock.advance(1_000);
    expect(transport.received).toEqual([]);
  });

  it("repeats a message and confirms it once", async () => {
    const transport = memoryTransport();
    const message = make();
    const fault = transport.inject({ kind: "repeat", copies: 3 });
    expect(kinds(await transport.publish([message], { deadlineMs: 100 }))).toEqual(["confirmed"]);
    expect(transport.received).toEqual([message, message, message]);
    expect(fault.fired).toBe(1);
  });

  it.each([true, false])("leaves a message unknown, stored: %s", async (isStored) => {
    const transport = memoryTransport();
    transport.inject({ kind: "unknown", isStored, scope: "topic" });
    const [outcome] = await transport.publish([make()], { deadlineMs: 100 });
    expect(outcome).toMatchObject({ kind: "unknown", scope: "topic" });
    expect(transport.received.length).toBe(isStored ? 1 : 0);
  });

  it("asks for a retry with a scope and a time", async () => {
    const transport = memoryTransport();
    transport.inject({ kind: "retry", scope: "transport", afterMs: 7, reason: "busy" });
    const [outcome] = await transport.publish([make()], { deadlineMs: 100 });
    expect(outcome).toMatchObject({ kind: "retry", scope: "transport", afterMs: 7, error: { facts: { reason: "busy" } } });
  });

  it("fires for the messages it fits, after as many as asked, as often as asked", async () => {
    const transport = memoryTransport();
    const fault = transport.inject({ kind: "reject", when: ({ topic }) => topic === "bad", skip: 1, times: 2 });
    const batch = ["bad", "good", "bad", "bad", "bad"].map((topic) => make({ topic }));
    expect(kinds(await transport.publish(batch, { deadlineMs: 100 }))).toEqual([
      "confirmed",
      "confirmed",
      "rejected",
      "rejected",
      "confirmed",
    ]);
    await fault.hasFired(2);
    expect(fault.fired).toBe(2);
  });

  it("is gone when it is lifted, and all are when it is healed", async () => {
    const transport = memoryTransport();
    const fault = transport.inject({ kind: "reject", times: 10 });
    transport.inject({ kind: "retry", times: 10 });
    expect(kinds(await transport.publish([make()], { deadlineMs: 100 }))).toEqual(["rejected"]);
    fault.lift();
    expect(kinds(await transport.publish([make()], { deadlineMs: 100 }))).toEqual(["retry"]);
    transport.heal();
    expect(kinds(await transport.publish([make()], { deadlineMs: 100 }))).toEqual(["confirmed"]);
  });

  it("throws out of the whole call", async () => {
    const transport = memoryTransport();
    transport.inject({ kind: "throw", error: new Error("broken") });
    await expect(transport.publish([make(), make()], { deadlineMs: 100 })).rejects.toThrow("broken");
    expect(transport.callsUnderWay).toBe(0);
  });

  it("hangs the call beyond its deadline, and close leaves it behind", async () => {
    const clock = manualClock();
    const transport = memoryTransport({ clock });
    transport.inject({ kind: "hang" });
    let isSettled = false;
    const settle = (): void => {
      isSettled = true;
    };
    transport.publish([make()], { deadlineMs: 10 }).then(settle, settle);
    await clock.advance(1_000);
    expect([isSettled, transport.callsUnderWay]).toEqual([false, 1]);
    const closed = transport.close({ deadlineMs: 10 });
    await clock.advance(10);
    await closed;
    expect(isSettled).toBe(false);
  });

  it("answers one outcome too few", async () => {
    const transport = memoryTransport();
    transport.inject({ kind: "miscount" });
    expect((await transport.publish([make(), make()], { deadlineMs: 100 })).length).toBe(1);
  });
});

describe("the memory transport", () => {
  const make = messageMaker();

  it("keeps the order of the batch and tells of every message it stores", async () => {
    const told: string[] = [];
    const transport = memoryTransport({ onReceived: ({ id }) => told.push(id) });
    const batch = Array.from({ length: 30 }, (_, index) => make({ key: index % 3 === 0 ? null : `key ${index % 4}` }));
    await transport.publish(batch, { deadlineMs: 100 });
    expect(transport.received).toEqual(batch);
    expect(told).toEqual(batch.map(({ id }) => id));
    transport.forget();
    expect([transport.received.length, transport.calls]).toEqual([0, 1]);
  });
});
