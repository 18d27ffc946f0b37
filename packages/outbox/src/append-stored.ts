/** What `append` asks of a dialect, and what both dialects answer alike. */
import { waybillError } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import type { Due } from "./delay.ts";
import type { StoredMessage } from "./stored-message.ts";

/** An id that was appended before. */
export interface Repeated {
  readonly messageId: string;
  readonly isSameContent: boolean;
}

/** Whose confirmation, and how long it may take. */
export interface AwaitedConfirmation {
  readonly consumer: string;
  readonly stream: string;
  readonly withinMs: number;
}

/** Appends to the tables of one ledger. */
export interface Appending {
  /** Locks keys until the transaction ends, always in the same order: two transactions that need the same keys cannot deadlock. */
  lockKeys(tx: Tx, keys: readonly string[]): Promise<void>;
  /** Appends in the order given. Messages whose own id was appended before are left out and answered. */
  appendStored(tx: Tx, messages: readonly StoredMessage[]): Promise<readonly Repeated[]>;
  /** As `appendStored`, for messages that wait until they are due. All of them have a fingerprint: each id is claimed. */
  appendDelayed(tx: Tx, messages: readonly StoredMessage[], due: Due): Promise<readonly Repeated[]>;
  /** Keeps copies until a consumer confirms them. */
  awaitConfirmation(tx: Tx, messages: readonly StoredMessage[], awaited: AwaitedConfirmation): Promise<void>;
  /** Forgets that a message waits for a consumer. False: it does not. */
  confirm(tx: Tx, messageId: string, consumer: string): Promise<boolean>;
  /** Takes a message back that is not in the ledger yet. False: it is, or it never waited here. */
  cancel(tx: Tx, messageId: string): Promise<boolean>;
}

/** What goes into one statement at most. A message that is larger than `bytesMax` goes by itself. */
export interface StatementBounds {
  readonly messagesMax: number;
  readonly bytesMax: number;
  bytesOf(message: StoredMessage): number;
}

/** Cuts messages into what fits one statement each, in order. */
export function* parts(
  messages: readonly StoredMessage[],
  { messagesMax, bytesMax, bytesOf }: StatementBounds,
): Generator<readonly StoredMessage[]> {
  let from = 0;
  let bytes = 0;
  for (let index = 0; index < messages.length; index += 1) {
    const size = bytesOf(messages[index] as StoredMessage);
    if (index > from && (index - from === messagesMax || bytes + size > bytesMax)) {
      yield messages.slice(from, index);
      from = index;
      bytes = 0;
    }
    bytes += size;
  }
  if (from < messages.length) yield messages.slice(from);
}

/** The error for a repeated id. */
export function repeatedError({ messageId, isSameContent }: Repeated): Error {
  const advice = isSameContent
    ? 'It is in the ledger already: roll back what repeats it, or append with { onRepeatedId: "ignore" }.'
    : "It was given to another message: make ids from what tells your messages apart.";
  return waybillError("WAYBILL_MESSAGE_ID_REPEATED", `The message id ${messageId} was appended before. ${advice}`, {
    messageId,
    isSameContent,
  });
}
