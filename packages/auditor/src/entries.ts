import { AuditInputError } from "./audit-input-error.ts";
import { arrayAt, countAt, type Fields, flagAt, idAt, objectAt, oneOfAt, optional, textAt, textOrNullAt } from "./fields.ts";
import type { Consumer, DeadLetter, Effect, Fault, Handled, IdRange, Intent, LedgerRow, Received, SubscriptionState } from "./history.ts";

/** The parts of a history, checked on their way out of JSON. `where` is the place an error names. */

export const intentFrom = (fields: Fields, where: string): Intent => ({
  messageId: textAt(fields, "messageId", where),
  topic: textAt(fields, "topic", where),
  key: textOrNullAt(fields, "key", where),
  outcome: oneOfAt(fields, "outcome", where, ["committed", "rolledBack", "unknown"]),
  ...optional(fields, "payloadDigest", where, textAt),
  ...optional(fields, "order", where, countAt),
});

export const ledgerRowFrom = (fields: Fields, where: string): LedgerRow => ({
  sequence: idAt(fields, "sequence", where),
  messageId: textAt(fields, "messageId", where),
  type: textAt(fields, "type", where),
  topic: textAt(fields, "topic", where),
  key: textOrNullAt(fields, "key", where),
  payloadDigest: textAt(fields, "payloadDigest", where),
});

export const receivedFrom = (fields: Fields, where: string): Received => ({
  subscription: textAt(fields, "subscription", where),
  messageId: textAt(fields, "messageId", where),
  payloadDigest: textAt(fields, "payloadDigest", where),
  ...optional(fields, "topic", where, textAt),
  ...optional(fields, "key", where, textOrNullAt),
  ...optional(fields, "sequence", where, (from, name, at) => (from[name] === null ? null : idAt(from, name, at))),
});

export const subscriptionFrom = (fields: Fields, where: string): SubscriptionState => ({
  subscription: textAt(fields, "subscription", where),
  lastId: idAt(fields, "lastId", where),
  openRanges: arrayAt(fields["openRanges"], `${where}.openRanges`).map((range, at) => rangeFrom(range, `${where}.openRanges[${at}]`)),
  owner: textOrNullAt(fields, "owner", where),
  isLeaseValid: flagAt(fields, "isLeaseValid", where),
  ...optional(fields, "spilled", where, countAt),
  ...optional(fields, "topics", where, textsAt),
  ...optional(fields, "keyPolicy", where, keyPolicyAt),
});

export const deadLetterFrom = (fields: Fields, where: string): DeadLetter => ({
  origin: oneOfAt(fields, "origin", where, ["relay", "inbox"]),
  reader: textAt(fields, "reader", where),
  messageId: textAt(fields, "messageId", where),
  state: oneOfAt(fields, "state", where, ["dead", "held", "released", "done", "discarded"]),
  ...optional(fields, "payloadDigest", where, textAt),
});

export const consumerFrom = (fields: Fields, where: string): Consumer => ({
  consumer: textAt(fields, "consumer", where),
  ...optional(fields, "subscription", where, textAt),
  ...optional(fields, "topics", where, textsAt),
  ...optional(fields, "keyPolicy", where, keyPolicyAt),
});

export const effectFrom = (fields: Fields, where: string): Effect => ({
  consumer: textAt(fields, "consumer", where),
  messageId: textAt(fields, "messageId", where),
  ...optional(fields, "count", where, countAt),
  ...optional(fields, "payloadDigest", where, textAt),
});

export const handledFrom = (fields: Fields, where: string): Handled => ({
  consumer: textAt(fields, "consumer", where),
  messageId: textAt(fields, "messageId", where),
});

export const faultFrom = (fields: Fields, where: string): Fault => ({
  kind: textAt(fields, "kind", where),
  isObserved: flagAt(fields, "isObserved", where),
});

function rangeFrom(value: unknown, where: string): IdRange {
  const fields = objectAt(value, where);
  return { lo: idAt(fields, "lo", where), hi: idAt(fields, "hi", where) };
}

/** A list of texts, for topics and message ids. */
export function textsAt(fields: Fields, name: string, where: string): readonly string[] {
  return arrayAt(fields[name], `${where}.${name}`).map((value, at) => {
    if (typeof value !== "string") throw new AuditInputError(`${where}.${name}[${at}]`, "must be text");
    return value;
  });
}

function keyPolicyAt(fields: Fields, name: string, where: string): "hold" | "skip" | "stop" {
  return oneOfAt(fields, name, where, ["hold", "skip", "stop"]);
}
