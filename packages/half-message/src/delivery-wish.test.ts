import { describe, expect, test } from "vitest";
import { changeFor, type DeliveryWish, type StandingDelivery } from "./delivery-wish.ts";

const policy = { backoff: { firstMs: 1_000, maxMs: 300_000 }, maxRedeliveries: 2, giveUpAfterMs: 60_000 };
const standing: StandingDelivery = {
  state: "awaiting_ack",
  attempts: 3,
  redeliveries: 1,
  isInLane: false,
  hasLane: false,
  isNotification: false,
};
const nack: DeliveryWish = { kind: "nack", attempt: 3, retryAfterMs: null, isPermanent: false, reason: "no stock" };
const change = (wish: DeliveryWish, given: Partial<StandingDelivery> = {}) =>
  changeFor(wish, { ...standing, ...given }, policy, { fraction: () => 0.5 });

describe("a wish", () => {
  test.each(["pending", "awaiting_ack", "dead"] as const)("an acknowledgement ends a delivery that is %s", (state) => {
    expect(change({ kind: "ack" }, { state })).toMatchObject({ state: "acked", isInLane: false });
    expect(change({ kind: "forceAck" }, { state })).toMatchObject({ state: "acked" });
  });

  test("what is acknowledged stays so", () => {
    for (const kind of ["ack", "forceAck", "giveUp"] as const) expect(change({ kind }, { state: "acked" })).toBeNull();
    expect(change(nack, { state: "acked" })).toBeNull();
    expect(change({ kind: "redrive", afterMs: 0 }, { state: "acked" })).toBeNull();
  });

  test("a nack comes again at its time, and keeps its lane waiting where the lane waits for it", () => {
    expect(change(nack)).toMatchObject({
      state: "pending",
      dueMs: 2_000,
      redelivered: 1,
      outcome: "nacked",
      error: "no stock",
      laneAfterMs: null,
    });
    expect(change({ ...nack, retryAfterMs: 70 })).toMatchObject({ dueMs: 70 });
    const inLane = change(nack, { isInLane: true, hasLane: true });
    expect(inLane).toMatchObject({ state: "pending", isInLane: true, dueMs: null, laneAfterMs: 2_000 });
  });

  test("a nack about an older attempt, or about one that is not noted yet, changes nothing", () => {
    expect(change({ ...nack, attempt: 2 })).toBeNull();
    expect(change(nack, { state: "pending" })).toBeNull();
  });

  test("permanently refused, or redelivered often enough, it is dead, and its lane goes on", () => {
    const inLane = { isInLane: true, hasLane: true };
    expect(change({ ...nack, isPermanent: true }, inLane)).toMatchObject({
      state: "dead",
      deadReason: "nacked",
      isInLane: false,
      laneAfterMs: 0,
    });
    expect(change(nack, { redeliveries: 2 })).toMatchObject({ state: "dead", deadReason: "unacknowledged" });
  });

  test("a consumer that needs longer gets a later deadline", () => {
    expect(change({ kind: "extend", forMs: 90 })).toMatchObject({ state: "awaiting_ack", dueMs: 90 });
    expect(change({ kind: "extend", forMs: 90 }, { isInLane: true })).toMatchObject({ isInLane: true, laneAfterMs: 90, dueMs: null });
    expect(change({ kind: "extend", forMs: 90 }, { state: "pending" })).toBeNull();
  });

  test("a redriven one begins anew, in its lane if it has one", () => {
    expect(change({ kind: "redrive", afterMs: 10 }, { state: "dead" })).toMatchObject({
      state: "pending",
      startsAnew: true,
      dueMs: 10,
      giveUpMs: 60_010,
    });
    expect(change({ kind: "redrive", afterMs: 0 }, { state: "dead", hasLane: true })).toMatchObject({
      isInLane: true,
      dueMs: null,
      notBeforeMs: null,
    });
    expect(change({ kind: "redrive", afterMs: 0 }, { state: "dead", hasLane: true, isNotification: true })).toMatchObject({
      notBeforeMs: 0,
    });
    expect(change({ kind: "redrive", afterMs: 0 })).toBeNull();
  });

  test("what an operator gives up is dead", () => {
    expect(change({ kind: "giveUp" }, { state: "pending" })).toMatchObject({ state: "dead", deadReason: "given_up" });
    expect(change({ kind: "giveUp" }, { state: "dead" })).toBeNull();
  });

  test("only what is dead is discarded", () => {
    expect(change({ kind: "discard" }, { state: "dead" })).toMatchObject({ state: "acked", deadReason: null, isInLane: false });
    for (const state of ["pending", "awaiting_ack", "acked"] as const) expect(change({ kind: "discard" }, { state })).toBeNull();
  });
});
