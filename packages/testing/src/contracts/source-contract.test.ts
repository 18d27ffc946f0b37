import type { Delivery, HandleDeliveries, Settlement, Source } from "@waybill/core";
import { describe, expect, it } from "vitest";
import { type MemorySource, memorySource } from "../memory-source.ts";
import { sourceContract } from "./source-contract.ts";

/** Runs the contract on a memory source that `spoil` has broken, and names the cases that fail. */
async function broken(spoil: (inner: MemorySource) => Source["consume"]): Promise<readonly string[]> {
  const cases = sourceContract({
    create: async () => {
      const inner = memorySource();
      return { source: { consume: spoil(inner) }, send: async (messages) => inner.deliver(...messages), dispose: async () => {} };
    },
    capabilities: { deadlineMs: 600 },
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

const done: Settlement = { kind: "done" };
const wrap =
  (around: (handle: HandleDeliveries) => HandleDeliveries) =>
  (inner: MemorySource): Source["consume"] =>
  (handle, options) =>
    inner.consume(around(handle), options);

describe("the source contract notices a source that", { timeout: 20_000 }, () => {
  it("settles before the handler has ended", async () => {
    const failed = await broken(
      wrap((handle) => async (batch) => {
        handle(batch).catch(() => undefined);
        return batch.map(() => done);
      }),
    );
    expect(failed).toContain("a message is not settled before its handler has ended");
    expect(failed).toContain("an abort ends consume after what was handed over is settled, and hands over nothing more");
  });

  it("loses what a rejected handler was given", async () => {
    const failed = await broken(wrap((handle) => (batch) => handle(batch).catch(() => batch.map(() => done))));
    expect(failed).toContain("a rejection of the handler settles nothing: all it was given come again");
  });

  it("brings 'again' at once", async () => {
    const atOnce = (settlement: Settlement): Settlement => (settlement.kind === "again" ? { kind: "again", afterMs: 0 } : settlement);
    expect(await broken(wrap((handle) => async (batch) => (await handle(batch)).map(atOnce)))).toContain(
      "'again' comes again, not before its time",
    );
  });

  it("says of a repeat that it is none", async () => {
    const fresh = (delivery: Delivery): Delivery => ({ ...delivery, redelivered: false });
    expect(await broken(wrap((handle) => (batch) => handle(batch.map(fresh))))).toEqual(["a repeat is said to be one, or nothing is said"]);
  });

  it("hands a key over the wrong way round", async () => {
    const failed = await broken(wrap((handle) => async (batch) => [...(await handle([...batch].reverse()))].reverse()));
    expect(failed).toContain("messages of one key are handed over in order, also when one of them comes again");
  });

  it("lets the handler finish, but says it has ended before", async () => {
    const failed = await broken((inner) => async (handle, options) => {
      const aborted = new Promise<void>((resolve) => options.signal.addEventListener("abort", () => resolve()));
      await Promise.race([inner.consume(handle, options), aborted]);
    });
    expect(failed).toContain("an abort ends consume after what was handed over is settled, and hands over nothing more");
  });
});
