/**
 * The alert rule of an inbox: more than one in a hundred of its last thousand attempts failed. It watches what the inbox reports, so it is there
 * whether or not anybody else listens.
 */
import { type AttemptCounts, type Clock, createAlerts, failureRate, type OnAlert } from "@waybill/core";
import { attemptOutcomes } from "./attempt-outcomes.ts";
import { reasons } from "./decision.ts";
import type { InboxStep } from "./engine.ts";

export interface FailureAlertOptions {
  readonly consumer: string;
  readonly clock: Clock;
  readonly onAlert?: OnAlert | undefined;
  readonly tell: (step: InboxStep) => void;
}

export interface FailureAlert {
  watch(step: InboxStep): void;
  /** What the last thousand attempts came to. */
  attempts(): AttemptCounts;
}

/** At most so many of the last thousand failed when it is over. Less than what raises it, so that it does not come and go. */
const normalFailedMax = 5;

const words: ReadonlySet<string> = new Set([...Object.values(reasons), "held"]);

/** An alert leaves the house: of a reason it tells the word that is ours. Everything else in it is the handler's own text, or the database's. */
function wordOf(reason: string): string {
  const [word = ""] = reason.split(":");
  return words.has(word) ? word : "rejected";
}

export function createFailureAlert({ consumer, clock, onAlert, tell }: FailureAlertOptions): FailureAlert {
  const rate = failureRate();
  const alerts = createAlerts(clock, onAlert);
  const outcomeOf = attemptOutcomes();
  let isHigh = false;

  return {
    watch(step) {
      if (step.name === "inbox.deadLettered") {
        alerts.raise({ kind: "dead_letter", subject: consumer, detail: `A message became a dead letter: ${wordOf(step.reason)}.` });
      }
      if (step.name === "inbox.confirmationGivenUp") {
        const detail = `A message was handled, and its producer could not be told: ${wordOf(step.reason)}.`;
        alerts.raise({ kind: "unconfirmed", subject: consumer, detail });
      }
      const outcome = outcomeOf(step);
      if (outcome !== "succeeded" && outcome !== "failed") return;
      const isTooHigh = rate.note(consumer, outcome === "failed" ? 1 : 0, 1);
      const counts = rate.of(consumer);
      if (isTooHigh && !isHigh) {
        isHigh = true;
        tell({ name: "inbox.failureRateHigh", ...counts });
        alerts.raise({
          kind: "failure_rate",
          subject: consumer,
          detail: `${counts.failed} of the last ${counts.attempts} attempts failed: more than one in a hundred of a thousand.`,
        });
      } else if (isHigh && counts.failed <= normalFailedMax) {
        isHigh = false;
        tell({ name: "inbox.failureRateNormal", ...counts });
      }
    },
    attempts: () => rate.of(consumer),
  };
}
