import type { Alerts } from "../alerts.ts";
import type { AnsweredCheck, AskedCheck } from "../check-protocol.ts";
import type { CheckSchedule } from "../check-schedule.ts";
import type { Metrics } from "../metrics.ts";
import type { Judged } from "../store.ts";
import type { Writer } from "../writer.ts";

export interface RecordContext {
  readonly writer: Pick<Writer, "judge">;
  readonly alerts: Alerts;
  readonly metrics: Metrics;
  /** Told of each decision. */
  readonly onDecided: (producer: string, judged: Judged) => void;
}

/** A check and its answer; null: there was none. */
export interface Answered {
  readonly check: Pick<AskedCheck, "id" | "token" | "checkNumber">;
  readonly answer: AnsweredCheck | null;
  readonly mayBeUnderWay: boolean;
  readonly retryAfterMs: number | null;
}

/** Writes what a check brought, fenced by its token, and tells of it. Rejects with what the database said; then the lease ends, and it is asked again. */
export async function recordAnswer(context: RecordContext, producer: string, schedule: CheckSchedule, answered: Answered): Promise<Judged> {
  const { writer, alerts, metrics, onDecided } = context;
  const { check, answer, mayBeUnderWay, retryAfterMs } = answered;
  const { id, token, checkNumber } = check;
  const judged = await writer.judge({
    producer,
    id,
    wish: {
      kind: "check",
      schedule,
      answer: {
        token,
        barrier: answer?.barrier ?? null,
        decision: answer?.decision ?? "unanswered",
        isBinding: answer?.binding ?? false,
        reason: answer?.reason ?? null,
        mayBeUnderWay,
        retryAfterMs,
      },
    },
    actor: `check:${checkNumber}`,
    reason: answer?.reason ?? null,
    checkNumber,
    body: null,
  });
  const subject = `${producer}/${id}`;
  const { verdict } = judged;
  metrics.count("waybill_half_checks_total", { producer, result: answer?.decision ?? "unanswered" });
  switch (verdict.kind) {
    case "decide":
      onDecided(producer, judged);
      break;
    case "checked":
      if (verdict.mismatch === true)
        alerts.raise({ kind: "barrier_mismatch", subject, detail: "The answer comes from another barrier than it was prepared for." });
      if (verdict.suspend !== null) alerts.raise({ kind: "suspended", subject, detail: verdict.suspend });
      break;
    case "refused":
      if (verdict.log === "conflict") {
        metrics.count("waybill_half_conflicts_total", { producer });
        alerts.raise({
          kind: "decision_conflict",
          subject,
          detail: `A check found otherwise; it is ${judged.after?.state ?? "decided"} already.`,
        });
      }
      break;
    case "create":
    case "extend":
    case "suspend":
    case "resume":
    case "checkNow":
    case "stands":
  }
  return judged;
}
