import { emit, type OnEvent } from "@waybill/core";
import type { Barrier } from "./barrier.ts";
import type { AnsweredCheck, AskedCheck } from "./check-protocol.ts";
import type { SettledFate } from "./settle.ts";

/** Answers checks. Never rejects; one that is left out has no answer, and is asked again. */
export type AnswerChecks = (checks: readonly AskedCheck[]) => Promise<readonly AnsweredCheck[]>;

/** Answers by the barrier. */
export function barrierAnswers(
  barrier: Barrier,
  { producer, onEvent }: { readonly producer: string; readonly onEvent: OnEvent | undefined },
): AnswerChecks {
  return async (checks) => {
    emit(onEvent, { name: "producer.checksArrived", producer, checks: checks.length });
    const asked = checks.flatMap(({ id, ageMs, barrier: preparedFor }) =>
      preparedFor === null ? [] : [{ id, ageMs, barrier: preparedFor }],
    );
    const { identity, fates } = await barrier.settle(asked);
    const answers = checks.map((check): AnsweredCheck => {
      const { id, token } = check;
      // Without a barrier nothing that we find, or do not find, says anything.
      if (check.barrier === null) return { id, token, barrier: null, decision: "not_found", reason: "prepared without a barrier" };
      const fate = fates.get(id);
      if (identity !== null && fate?.kind === "pending" && fate.why === "otherBarrier") {
        emit(onEvent, { name: "barrier.mismatched", producer, messageId: id });
        return { id, token, barrier: identity, decision: "pending", reason: "another barrier" };
      }
      return { id, token, barrier: check.barrier, ...decisionOf(fate) };
    });
    const count = (decision: AnsweredCheck["decision"]): number => answers.filter((answer) => answer.decision === decision).length;
    const [committed, rolledBack] = [count("committed"), count("rolled_back")];
    emit(onEvent, { name: "producer.checksAnswered", producer, committed, rolledBack, undecided: checks.length - committed - rolledBack });
    return answers;
  };
}

function decisionOf(fate: SettledFate | undefined): Pick<AnsweredCheck, "decision" | "binding" | "reason"> {
  switch (fate?.kind) {
    case "committed":
      return { decision: "committed" };
    case "rolledBack":
      return { decision: "rolled_back", binding: true };
    case "expired":
      return { decision: "expired" };
    case "pending":
      return { decision: "pending", reason: fate.why };
    case undefined:
      return { decision: "pending" };
  }
}
