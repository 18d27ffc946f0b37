import { behindItsKey, type OutgoingMessage, type PublishOutcome, type Transport, waybillError } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { type MemoryTransport, memoryTransport } from "../memory-transport.ts";
import { transportContract } from "./transport-contract.ts";

/** Runs the contract on a memory transport that `spoil` has broken, and names the cases that fail. */
async function broken(spoil: (inner: MemoryTransport, harmed: ReadonlySet<string>) => Transport): Promise<readonly string[]> {
  const cases = transportContract({
    create: async () => {
      const inner = memoryTransport();
      const harmed = new Set<string>();
      return {
        transport: spoil(inner, harmed),
        received: async () => inner.received,
        harm: (messageId) => {
          harmed.add(messageId);
          inner.inject({ kind: "reject", when: ({ id }) => id === messageId, times: 100 });
        },
        dispose: () => inner.close({ deadlineMs: 10 }),
      };
    },
    capabilities: { harms: ["refuse"], deadlineMs: 100 },
  });
  const failed = await Promise.all(
    cases.map(({ name, run }) =>
      run().then(
        () => [],
        () => [name],
      ),
    ),
  );
  return failed.flat();
}

const stateful = (inner: MemoryTransport, publish: Transport["publish"]): Transport => ({
  publish,
  close: (options) => inner.close(options),
});

describe("the transport contract notices a transport that", () => {
  it("is sound: nothing", async () => {
    expect(await broken((inner) => inner)).toEqual([]);
  });

  it("confirms what it did not store", async () => {
    const failed = await broken((inner) =>
      stateful(inner, async (batch, options) => [
        ...(await inner.publish(batch.slice(1), options)).map((): PublishOutcome => ({ kind: "confirmed" })),
        ...batch.slice(0, 1).map((): PublishOutcome => ({ kind: "confirmed" })),
      ]),
    );
    expect(failed).toContain("every message of a batch gets its outcome, and a confirmed one is at the other end");
  });

  it("sends a batch the wrong way round", async () => {
    const failed = await broken((inner) =>
      stateful(inner, async (batch, options) => [...(await inner.publish([...batch].reverse(), options))].reverse()),
    );
    expect(failed).toContain("messages of one key arrive in the order of the batch and of the calls");
  });

  it("goes on with a key after a failure", async () => {
    const failed = await broken((inner) =>
      stateful(inner, async (batch, options) => (await Promise.all(batch.map((message) => inner.publish([message], options)))).flat()),
    );
    expect(failed).toContain("a key stops at a message that the other end does refuse (rejected)");
  });

  it("says that a key stopped and sends the rest all the same", async () => {
    const failed = await broken((inner, harmed) =>
      stateful(inner, async (batch, options) => {
        const outcomes = (await Promise.all(batch.map((message) => inner.publish([message], options)))).flat();
        const at = batch.findIndex(({ id }) => harmed.has(id));
        return outcomes.map((outcome, index) => (at !== -1 && index > at && batch[index]?.key === batch[at]?.key ? behind() : outcome));
      }),
    );
    expect(failed).toContain("a key stops at a message that the other end does refuse (rejected)");
  });

  it("changes a payload's bytes, a header, or a key", async () => {
    const change = (changed: (message: OutgoingMessage) => Partial<OutgoingMessage>) =>
      broken((inner) =>
        stateful(inner, (batch, options) =>
          inner.publish(
            batch.map((message) => ({ ...message, ...changed(message) })),
            options,
          ),
        ),
      );
    const parsed = await change(({ payload }) => ({
      payload: payload === null ? null : Buffer.from(Buffer.from(payload).toString("utf8")),
    }));
    expect(parsed).toEqual(["a message arrives unchanged: every byte there is"]);
    const unviewed = await change(({ payload }) => ({ payload: payload === null ? null : new Uint8Array(payload.buffer) }));
    expect(unviewed).toContain("a message arrives unchanged: bytes that are a view into something larger");
    const emptied = await change(({ payload }) => ({ payload: payload ?? new Uint8Array(0) }));
    expect(emptied).toEqual(["a message arrives unchanged: a tombstone"]);
    const latin = await change(({ headers }) => ({
      headers: new Map([...headers].map(([name, value]) => [name, Buffer.from(value, "latin1").toString("latin1")])),
    }));
    expect(latin).toEqual(["a message arrives unchanged: headers beyond ASCII"]);
    const trimmed = await change(({ key }) => ({ key: key?.slice(0, 254) ?? null }));
    expect(trimmed).toEqual(["a message arrives unchanged: a key of 255 bytes"]);
  });

  it("throws for a message's sake", async () => {
    const failed = await broken((inner, harmed) =>
      stateful(inner, async (batch, options) => {
        if (batch.some(({ id }) => harmed.has(id))) throw new Error("one of them is bad");
        return inner.publish(batch, options);
      }),
    );
    expect(failed).toContain("after a message that the other end does refuse, the next call succeeds");
  });

  it("shows a payload in an error", async () => {
    const failed = await broken((inner, harmed) =>
      stateful(inner, async (batch, options) =>
        (await inner.publish(batch, options)).map((outcome, index) =>
          outcome.kind === "rejected" && harmed.has(batch[index]?.id ?? "")
            ? { kind: "rejected", error: failure(`cannot send ${Buffer.from(batch[index]?.payload ?? []).toString()}`) }
            : outcome,
        ),
      ),
    );
    expect(failed).toEqual(["the error of a message that the other end does refuse shows nothing of the message's content"]);
  });

  it("does not ask whether it may write", async () => {
    const failed = await broken((inner) => stateful(inner, (batch, { deadlineMs }) => inner.publish(batch, { deadlineMs })));
    expect(failed).toContain("nothing is written once the caller may not write any more");
  });

  it("goes on after close", async () => {
    const failed = await broken((inner) => ({ publish: (batch, options) => inner.publish(batch, options), close: async () => {} }));
    expect(failed).toEqual(["a closed transport sends nothing and answers retry of scope transport"]);
  });
});

function failure(message: string) {
  return waybillError("WAYBILL_TRANSPORT", message, { system: "memory", reason: "rejected", brokerCode: null });
}

function behind(): PublishOutcome {
  return {
    kind: "retry",
    scope: "message",
    error: waybillError("WAYBILL_TRANSPORT", "Behind its key.", { system: "memory", reason: behindItsKey, brokerCode: null }),
  };
}
