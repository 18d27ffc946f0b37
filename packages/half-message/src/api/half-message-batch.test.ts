import { expect, test } from "vitest";
import { halfMessageBatch } from "./half-message-batch.ts";
import type { Load } from "./load.ts";
import type { Call } from "./route.ts";

const operations = ["prepare", "commit", "rollback"].map((op, n) => ({
  op,
  id: `id-${n}`,
  ...(op === "prepare" ? { halfMessage: {} } : {}),
}));
const call = {
  params: { producer: "payments" },
  headers: {},
  body: { operations },
  caller: { keyId: "payments-1", scopes: new Set(["prepare", "decide"]), name: null, isAnybody: false },
} as unknown as Call;

async function answersUnder(load: Load): Promise<readonly unknown[]> {
  const done = (): Promise<{ status: number; body: unknown }> => Promise.resolve({ status: 200, body: null });
  const { body } = await halfMessageBatch({ prepare: done, commit: done, rollback: done }, load, () => undefined)(call);
  const { results } = body as { results: readonly { status: number; body: { code: string } | null }[] };
  return results.map((result) => result.body?.code ?? result.status);
}

test("the prepares of a batch are refused when single ones are, and its decisions go on", async () => {
  expect(await answersUnder({ isDraining: false, inFlight: 799 })).toEqual([200, 200, 200]);
  expect(await answersUnder({ isDraining: false, inFlight: 800 })).toEqual(["overloaded", 200, 200]);
  expect(await answersUnder({ isDraining: true, inFlight: 1 })).toEqual(["draining", 200, 200]);
});
