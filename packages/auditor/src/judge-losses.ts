import type { Findings } from "./findings.ts";
import type { History } from "./history.ts";
import type { Message, Messages } from "./messages.ts";
import type { Reader, Readers } from "./readers.ts";

/**
 * NL: each committed message was received by every subscription that covers its topic, and has an effect in every such inbox,
 * unless a dead letter of that reader names it. A message counts as lost once, with the first reader that misses it.
 * And half: a transaction of a writer, or of an inbox, that took place in part. What is half is not also lost.
 */
export function judgeLosses(history: History, messages: Messages, readers: Readers, findings: Findings): void {
  const halfHandled = judgeHandled(history, messages, readers, findings);

  for (const message of messages.byId.values()) {
    if (message.fate === "half") {
      findings.violate("half", "half", {
        what: halfOf(message),
        messageId: message.id,
        sequence: message.row?.sequence,
        trace: message.origin,
      });
    }
    if (message.fate !== "committed") continue;
    const missing = readerMissing(message, readers, halfHandled);
    if (missing === undefined) continue;
    findings.violate("NL", "lost", {
      what:
        missing.kind === "subscription"
          ? "committed, never received and no dead letter names it"
          : "committed, without effect and no dead letter names it",
      messageId: message.id,
      sequence: message.row?.sequence,
      reader: missing.name,
      trace: () => {
        const steps = [...message.origin()];
        for (const { firstAt } of missing.kind === "consumer" ? readers.subscriptions.values() : []) {
          const position = firstAt.get(message.id);
          if (position !== undefined) steps.push({ source: "received", position, messageId: message.id, what: "it was received" });
        }
        return steps;
      },
    });
  }
}

function readerMissing(message: Message, readers: Readers, halfHandled: ReadonlyMap<string, ReadonlySet<string>>): Reader | undefined {
  for (const reader of readers.subscriptions.values()) {
    if (reader.covers(message.topic) && !reader.firstAt.has(message.id) && !isGivenUp(reader, message.id)) return reader;
  }
  for (const reader of readers.consumers.values()) {
    if (!reader.covers(message.topic) || reader.firstAt.has(message.id) || isGivenUp(reader, message.id)) continue;
    // What a relay gave up never came to the inbox.
    if (reader.feeds.some((feed) => !feed.firstAt.has(message.id) && isGivenUp(feed, message.id))) continue;
    if (halfHandled.get(reader.name)?.has(message.id) !== true) return reader;
  }
  return undefined;
}

/** Closed or waiting in the dead letters; or released from them and not done, which is unfinished work: another verdict than lost. */
const isGivenUp = (reader: Reader, id: string): boolean => reader.excused.has(id) || reader.released.has(id);

function halfOf(message: Message): string {
  if (!message.hasBusinessRow) return "the message is there and its business row is not";
  return "the business row is there and its message is not";
}

/** Compares dedupe rows with effects, where the history has dedupe rows. Answers what is half, by consumer. */
function judgeHandled(
  history: History,
  messages: Messages,
  readers: Readers,
  findings: Findings,
): ReadonlyMap<string, ReadonlySet<string>> {
  const half = new Map<string, Set<string>>();
  if (history.handled === undefined) return half;
  const isCommitted = (id: string): boolean => messages.byId.get(id)?.fate === "committed";
  const handled = new Map<string, Set<string>>();
  for (const name of readers.consumers.keys()) {
    handled.set(name, new Set());
    half.set(name, new Set());
  }

  for (const [position, row] of history.handled.entries()) {
    handled.get(row.consumer)?.add(row.messageId);
    if (readers.consumers.get(row.consumer)?.firstAt.has(row.messageId) === true || !isCommitted(row.messageId)) continue;
    half.get(row.consumer)?.add(row.messageId);
    findings.violate("half", "half", {
      what: "the dedupe row is there and the effect is not",
      messageId: row.messageId,
      reader: row.consumer,
      trace: () => [{ source: "handled", position, messageId: row.messageId, what: "its dedupe row is there" }],
    });
  }
  for (const [name, reader] of readers.consumers) {
    for (const [id, position] of reader.firstAt) {
      if (handled.get(name)?.has(id) === true || !isCommitted(id)) continue;
      findings.violate("half", "half", {
        what: "the effect is there and the dedupe row is not",
        messageId: id,
        reader: name,
        trace: () => [{ source: "effects", position, messageId: id, what: "its effect is there" }],
      });
    }
  }
  return half;
}
