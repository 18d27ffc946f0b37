import { type Delivery, type HttpAnswer, type HttpCaller, type HttpRequest, isWaybillError } from "@waybill/core";
import { expect, test } from "vitest";
import { createAcknowledger } from "./acknowledger.ts";

const service = { url: "http://127.0.0.1:1", key: { id: "billing-1", secret: "billing-billing-billing-billing-bil" } };
const id = (nth: number) => `${nth}-00c0ffee00c0ffee`;

/** A service that answers as told, and remembers what it was asked. */
function answering(answer: (ids: readonly string[]) => HttpAnswer) {
  const calls: string[][] = [];
  const http: HttpCaller = {
    call: (request: HttpRequest) => {
      const { deliveryIds } = JSON.parse(Buffer.from(request.body ?? []).toString()) as { deliveryIds: string[] };
      calls.push(deliveryIds);
      return Promise.resolve(answer(deliveryIds));
    },
  };
  return { calls, http };
}
const acks = (ids: readonly string[]): HttpAnswer => {
  const results = ids.map((deliveryId) => ({ deliveryId, state: "acked", applied: true }));
  return { kind: "answered", status: 200, headers: {}, body: Buffer.from(JSON.stringify({ results })) };
};
const unavailable: HttpAnswer = { kind: "answered", status: 503, headers: {}, body: Buffer.from("{}") };

function delivery(nth: number, ack: "explicit" | "implicit" | null): Delivery {
  const headers = new Map(ack === null ? [] : [["waybill-delivery-id", id(nth)] as const, ["waybill-ack", ack] as const]);
  const message = { id: `m${nth}`, type: "t", topic: "t", key: null, headers, payload: null, sequence: null, createdAtMs: null };
  return { message, redelivered: null };
}

test("acknowledgements that come together go in one call, each delivery once, and everybody is told", async () => {
  const { calls, http } = answering(acks);
  const acknowledger = createAcknowledger({ consumer: "billing", service, http });
  const answers = await Promise.all([1, 2, 3, 1].map((nth) => acknowledger.ack(id(nth))));
  expect(answers).toEqual([true, true, true, true]);
  expect(calls).toEqual([[id(1), id(2), id(3)]]);
  await acknowledger.close();
});

test("a call whose end is unknown is made again, so often and no more", async () => {
  const { calls, http } = answering((ids) => (calls.length < 3 ? unavailable : acks(ids)));
  const acknowledger = createAcknowledger({ consumer: "billing", service, http });
  expect(await acknowledger.ack(id(1))).toBe(true);
  expect(calls).toHaveLength(3);
  const down = answering(() => ({ kind: "unknown", reason: "deadline" }));
  const other = createAcknowledger({ consumer: "billing", service, http: down.http, retries: 1 });
  expect(await other.ack(id(1))).toBe(false);
  expect(down.calls).toHaveLength(2);
});

test("around a source it acknowledges what was handled and asks for it, and settles the source though the service is away", async () => {
  for (const [answer, isUp] of [
    [acks, true],
    [() => unavailable, false],
  ] as const) {
    const { calls, http } = answering(answer);
    const acknowledger = createAcknowledger({ consumer: "billing", service, http, retries: 0 });
    const batch = [delivery(1, "explicit"), delivery(2, "explicit"), delivery(3, "implicit"), delivery(4, null)];
    const settled: string[] = [];
    const source = acknowledger.around({
      async consume(handle) {
        const settlements = await handle(batch);
        settled.push(...settlements.map(({ kind }) => kind));
      },
    });
    await source.consume(
      (all) => Promise.resolve(all.map((_, place) => (place === 1 ? { kind: "again", afterMs: 5 } : { kind: "done" }))),
      {
        signal: new AbortController().signal,
      },
    );
    expect(settled).toEqual(["done", "again", "done", "done"]);
    expect(calls, String(isUp)).toEqual([[id(1)]]);
  }
});

test("what cannot work is told at once", () => {
  const wrong = () => createAcknowledger({ consumer: "Billing", service: { ...service, url: "x" }, batch: 501 });
  try {
    wrong();
    expect.unreachable();
  } catch (error) {
    expect(isWaybillError(error, "WAYBILL_CONFIG_INVALID") && error.facts.problems.map(({ option }) => option)).toEqual([
      "consumer",
      "batch",
    ]);
  }
});
