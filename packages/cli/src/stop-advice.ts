import { parseStopReason } from "@waybill/relay";

interface StoppedSubscription {
  readonly stream: string;
  readonly subscription: string;
  readonly stateReason: string | null;
}

/** What was found about a subscription that is stopped, and what to do about it, in words for an operator. */
export function stopAdvice({ stream, subscription, stateReason }: StoppedSubscription): {
  readonly found: string;
  readonly advice: string;
} {
  const reason = parseStopReason(stateReason);
  const of = `--stream ${stream} --subscription ${subscription}`;
  if (reason === null) return { found: stateReason ?? "no reason is given", advice: `waybill subscription resume ${of}` };
  const found =
    reason.code === "idsWentBack"
      ? `its cursor had come to id ${reason.lastId}, the ledger only to ${reason.highestId}: a dump was restored, or the counter set back`
      : `its ledger is another one than it has read up to id ${reason.lastId}: it was made anew`;
  const advice = `To publish again all that is there: waybill subscription resume --accept-repeats ${of}. To go on from a place of your choice, such as the time of the restore: waybill subscription move --to-time TIME ${of}, then resume.`;
  return { found, advice };
}
