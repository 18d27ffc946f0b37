import { AuditInputError } from "./audit-input-error.ts";
import type { Consumer, DeadLetter, History, KeyPolicy } from "./history.ts";

/** A subscription or an inbox, with what it did. */
export interface Reader {
  readonly kind: "subscription" | "consumer";
  readonly name: string;
  /** For an inbox: the subscriptions it may be fed by. For a subscription: none. */
  readonly feeds: readonly Reader[];
  readonly keyPolicy: KeyPolicy;
  /** False for a topic that is none of its business. */
  readonly covers: (topic: string) => boolean;
  /** Message id → position of its first record (a subscription's) or first effect (an inbox's). In the order of the first ones. */
  readonly firstAt: Map<string, number>;
  /** Message ids that are settled by a dead letter: it waits for a decision, or was closed by one. */
  readonly excused: Set<string>;
  /** Message ids that ever were dead letters or held behind one. */
  readonly givenUp: Set<string>;
  readonly discarded: Set<string>;
  /** Message ids on their way again. */
  readonly released: Set<string>;
}

/** The readers of a history, by name. */
export interface Readers {
  readonly subscriptions: ReadonlyMap<string, Reader>;
  readonly consumers: ReadonlyMap<string, Reader>;
}

/** Sorts records, effects and dead letters by who made them. Throws `AuditInputError` for a reader that is not declared. */
export function indexReaders(history: History): Readers {
  const subscriptions = new Map<string, Reader>();
  for (const [position, each] of history.subscriptions.entries()) {
    declare(subscriptions, `subscriptions[${position}]`, createReader("subscription", each.subscription, [], each));
  }
  const consumers = new Map<string, Reader>();
  for (const [position, each] of history.consumers.entries()) {
    const where = `consumers[${position}]`;
    const feeds =
      each.subscription === undefined ? [...subscriptions.values()] : [declared(subscriptions, each.subscription, `${where}.subscription`)];
    declare(consumers, where, createReader("consumer", each.consumer, feeds, each));
  }

  for (const [position, record] of history.received.entries()) {
    const { firstAt } = declared(subscriptions, record.subscription, `received[${position}].subscription`);
    if (!firstAt.has(record.messageId)) firstAt.set(record.messageId, position);
  }
  for (const [position, effect] of history.effects.entries()) {
    const { firstAt } = declared(consumers, effect.consumer, `effects[${position}].consumer`);
    if (!firstAt.has(effect.messageId)) firstAt.set(effect.messageId, position);
  }
  for (const [position, letter] of history.deadLetters.entries()) {
    note(declared(letter.origin === "relay" ? subscriptions : consumers, letter.reader, `deadLetters[${position}].reader`), letter);
  }
  for (const [position, row] of (history.handled ?? []).entries()) declared(consumers, row.consumer, `handled[${position}].consumer`);
  return { subscriptions, consumers };
}

function createReader(
  kind: Reader["kind"],
  name: string,
  feeds: readonly Reader[],
  { keyPolicy = "hold", topics }: Pick<Consumer, "keyPolicy" | "topics">,
): Reader {
  const covered = topics === undefined ? undefined : new Set(topics);
  return {
    kind,
    name,
    feeds,
    keyPolicy,
    covers: (topic) => covered?.has(topic) ?? true,
    firstAt: new Map(),
    excused: new Set(),
    givenUp: new Set(),
    discarded: new Set(),
    released: new Set(),
  };
}

function declare(readers: Map<string, Reader>, where: string, reader: Reader): void {
  if (readers.has(reader.name)) throw new AuditInputError(where, `${reader.kind} ${reader.name} is declared twice`);
  readers.set(reader.name, reader);
}

function declared(readers: ReadonlyMap<string, Reader>, name: string, where: string): Reader {
  const reader = readers.get(name);
  if (reader === undefined) throw new AuditInputError(where, `${name} is not declared; known: ${[...readers.keys()].join(", ") || "none"}`);
  return reader;
}

function note(reader: Reader, letter: DeadLetter): void {
  reader.givenUp.add(letter.messageId);
  switch (letter.state) {
    case "dead":
    case "held":
      reader.excused.add(letter.messageId);
      break;
    case "discarded":
      reader.excused.add(letter.messageId);
      reader.discarded.add(letter.messageId);
      break;
    case "released":
      reader.released.add(letter.messageId);
      break;
    // It says that the message arrived after all: the log has to say so too.
    case "done":
      break;
  }
}
