import type { Barrier } from "../barrier.ts";
import type { AnswerChecks } from "../barrier-answers.ts";
import { barrierAnswers } from "../barrier-answers.ts";
import type { Asker } from "./asker.ts";

/** Asks a producer's barrier itself, in its database: for a login with SELECT on its tables and INSERT on `waybill_barrier`. */
export function directAsker(barrier: Barrier, producer: string): Asker {
  const answer: AnswerChecks = barrierAnswers(barrier, { producer, onEvent: undefined });
  return {
    async ask(checks, { mayWrite }) {
      if (!mayWrite()) return { kind: "failed", reason: "leaseLost", mayBeUnderWay: false, retryAfterMs: null };
      const answers = await answer(checks);
      return { kind: "answered", answers: new Map(answers.map((one) => [one.id, one])) };
    },
  };
}
