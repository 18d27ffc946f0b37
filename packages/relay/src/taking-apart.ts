/**
 * Takes a call apart in which nothing was confirmed and something was rejected: a receiver that takes or refuses calls as a whole must not
 * make dead letters of the neighbours of one bad message. Rejected means surely not stored, so nothing is repeated by it.
 *
 *     [1 2 3 4] rejected ─▶ [1 2] confirmed   [3 4] rejected ─▶ [3] rejected: the one   [4] confirmed
 *
 * Halves go one after the other, the left one first, and a key that stopped in it goes no further. After ten single rejections in a row
 * with one code the rest is left as it was rejected: then the brake takes them for a failure of the topic.
 */
import { behindItsKey, type OutgoingMessage, type PublishOutcome, rejectionsInARowMax, waybillError } from "@waybill/core";

/** The reason of a message that was not sent because its topic waits by now. It is as if it had not been in the call. */
export const notSent = "notSent";

/** Publishes once; null: the session is over. */
export type PublishOnce = (messages: readonly OutgoingMessage[]) => Promise<readonly PublishOutcome[] | null>;

/** `mayGoOn` is asked before each call but the first; what is not sent for it is to be tried again. */
export async function publishApart(
  publishOnce: PublishOnce,
  messages: readonly OutgoingMessage[],
  mayGoOn: () => boolean,
  onTakenApart: (messages: number) => void,
): Promise<readonly PublishOutcome[] | null> {
  let inARow = 0;
  let code: string | null = null;

  const publish = async (part: readonly OutgoingMessage[]): Promise<readonly PublishOutcome[] | null> => {
    const outcomes = await publishOnce(part);
    if (outcomes === null) return null;
    if (part.length === 1) note(outcomes[0]);
    if (part.length === 1 || !isRejectedAsAWhole(outcomes)) return outcomes;
    if (part === messages) onTakenApart(part.length);
    const middle = Math.ceil(part.length / 2);
    const left = await goOn(part.slice(0, middle), outcomes.slice(0, middle));
    if (left === null) return null;
    // A key goes no further than its first message that was not confirmed.
    const stopped = new Set<string>();
    for (const [place, outcome] of left.entries()) if (outcome.kind !== "confirmed") stopped.add(laneOf(part[place]));
    const right = part.slice(middle);
    const open = right.filter((message) => message.key === null || !stopped.has(laneOf(message)));
    const before = outcomes.slice(middle).filter((_, place) => open.includes(right[place] as OutgoingMessage));
    const went = open.length === 0 ? [] : await goOn(open, before);
    if (went === null) return null;
    const ends = new Map(open.map((message, place) => [message, went[place] as PublishOutcome]));
    return [...left, ...right.map((message) => ends.get(message) ?? again(behindItsKey))];
  };

  const note = (outcome: PublishOutcome | undefined): void => {
    const found = outcome?.kind === "rejected" ? codeOf(outcome) : null;
    inARow = found !== null && found === code ? inARow + 1 : Number(found !== null);
    code = found;
  };

  const goOn = async (part: readonly OutgoingMessage[], before: readonly PublishOutcome[]): Promise<readonly PublishOutcome[] | null> => {
    if (inARow >= rejectionsInARowMax) return before;
    return mayGoOn() ? publish(part) : part.map(() => again(notSent));
  };

  return publish(messages);
}

function isRejectedAsAWhole(outcomes: readonly PublishOutcome[]): boolean {
  return (
    outcomes.some(({ kind }) => kind === "rejected") &&
    outcomes.every((outcome) => outcome.kind === "rejected" || (outcome.kind === "retry" && outcome.error.facts.reason === behindItsKey))
  );
}

function again(reason: string): PublishOutcome {
  const error = waybillError("WAYBILL_TRANSPORT", "The message was not sent: another one of its key or topic goes first.", {
    system: "relay",
    reason,
    brokerCode: null,
  });
  return { kind: "retry", error, scope: "message" };
}

function codeOf(outcome: Extract<PublishOutcome, { kind: "rejected" }>): string {
  const { reason, brokerCode } = outcome.error.facts;
  return `${reason}:${brokerCode ?? ""}`;
}

function laneOf(message: OutgoingMessage | undefined): string {
  return message === undefined ? "" : `${message.topic}\u0000${message.key ?? ""}`;
}
