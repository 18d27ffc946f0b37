import type { PublishOutcome } from "@waybill/core";

/** An outcome in one line, for comparisons that a reader can follow: `retry topic unroutable 312`. */
export function outcomeText(outcome: PublishOutcome | undefined): string {
  if (outcome === undefined) return "none";
  if (outcome.kind === "confirmed") return outcome.kind;
  const { reason, brokerCode } = outcome.error.facts;
  return [outcome.kind, ...(outcome.kind === "rejected" ? [] : [outcome.scope]), reason, ...(brokerCode === null ? [] : [brokerCode])].join(
    " ",
  );
}
