import type { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { Message, Messages } from "./messages.ts";
import type { TraceStep } from "./verdict.ts";

type Trace = TraceStep["source"];

/** What somebody saw of a message: its id, and of the rest what they could tell. */
interface Sighting {
  readonly messageId: string;
  readonly payloadDigest?: string | undefined;
  readonly topic?: string | undefined;
  readonly key?: string | null | undefined;
  readonly sequence?: bigint | null | undefined;
}

/**
 * NG: whatever was received, given up or done belongs to a committed message and carries what is stored. Each message id is a
 * ghost at most once and drifts at most once, at the first sighting that shows it.
 */
export function judgeGhosts(history: History, messages: Messages, findings: Findings): void {
  const ghosts = new Set<string>();
  const drifted = new Set<string>();

  const look = (source: Trace, position: number, sighting: Sighting, reader: string | undefined, what: string): void => {
    const id = sighting.messageId;
    const message = messages.byId.get(id);
    const step: TraceStep = { source, position, messageId: id, what };
    if (message === undefined || message.fate === "rolledBack") {
      if (ghosts.has(id)) return;
      ghosts.add(id);
      const why = message === undefined ? "nobody wrote this message" : "its transaction did not commit";
      findings.violate("NG", "ghosts", {
        what: `${why}, and ${what}`,
        messageId: id,
        sequence: message?.row?.sequence,
        reader,
        trace: () => [...(message?.origin() ?? []).filter((each) => each.source !== source || each.position !== position), step],
      });
      return;
    }
    const difference = differenceOf(message, sighting);
    if (difference === undefined || drifted.has(id)) return;
    drifted.add(id);
    findings.violate("NG", "drifted", {
      what: `${what} with ${difference} than stored`,
      messageId: id,
      sequence: message.row?.sequence,
      reader,
      trace: () => [...message.origin(), { ...step, what: `${what} with ${difference}` }],
    });
  };

  // A row is compared with its writer's intent; every later sighting with the row.
  for (const [position, row] of history.ledger.entries()) {
    const message = messages.byId.get(row.messageId);
    const intent = message?.intent;
    if (message === undefined || intent === undefined) continue;
    if (message.fate === "rolledBack") look("ledger", position, row, undefined, "its ledger row is there");
    else {
      const { messageId, topic, key } = intent;
      look("ledger", position, { messageId, topic, key, payloadDigest: intent.payloadDigest }, undefined, "it was journaled");
    }
  }
  for (const [position, record] of history.received.entries()) look("received", position, record, record.subscription, "it was received");
  for (const [position, letter] of history.deadLetters.entries()) {
    look("deadLetters", position, letter, letter.reader, `it is in the dead letters as ${letter.state}`);
  }
  for (const [position, effect] of history.effects.entries()) look("effects", position, effect, effect.consumer, "it has an effect");
  for (const [position, row] of (history.handled ?? []).entries()) look("handled", position, row, row.consumer, "it has a dedupe row");
}

/** Undefined means equal. What either side cannot tell is equal. */
function differenceOf(message: Message, sighting: Sighting): string | undefined {
  const { payloadDigest, topic, key, sequence } = sighting;
  if (payloadDigest !== undefined && message.payloadDigest !== undefined && payloadDigest !== message.payloadDigest) return "other bytes";
  if (topic !== undefined && topic !== message.topic) return "another topic";
  if (key !== undefined && key !== message.key) return "another key";
  if (sequence !== undefined && sequence !== null && message.row !== undefined && sequence !== message.row.sequence)
    return "another sequence";
  return undefined;
}
