/**
 * A message on its way: made by a catalogue, appended to the outbox, read by a relay, received by an inbox.
 * The payload is encoded once, before append, and parsed once, by the handler. In between it is opaque bytes.
 */

/**
 * A message that is ready to be appended. Made by a catalogue's entry, which has checked it; immutable.
 * It has no id yet unless the caller chose one: `append` makes the id, so that the same object appended twice is two messages.
 */
export interface Message {
  /** An id of the caller's own (a UUID in canonical form), or null: `append` makes one. */
  readonly ownId: string | null;
  readonly type: string;
  readonly topic: string;
  /** Messages of one topic that share it keep their order; null: no order. */
  readonly key: string | null;
  /** Headers as given; the source, content type and trace context are among them. */
  readonly headers: ReadonlyMap<string, string>;
  /** Text is stored as text, bytes as bytes; null is a tombstone. */
  readonly payload: string | Uint8Array | null;
}

/** What a transport gets: the bytes that were stored, never parsed or re-encoded on the way. */
export interface OutgoingMessage {
  /** Made once, at append; the same at every publication. Receivers dedupe on it. */
  readonly id: string;
  /** On the wire, such as `shop.order.placed.v1`: never renamed, never reused. */
  readonly type: string;
  /** Logical destination. */
  readonly topic: string;
  /** Messages of one topic that share it keep their order; null: no order. */
  readonly key: string | null;
  readonly headers: ReadonlyMap<string, string>;
  /** null: a tombstone. */
  readonly payload: Uint8Array | null;
  /** Position in its ledger. Not an identity: a restored database gives positions out again. */
  readonly sequence: bigint;
  /** Milliseconds since 1970 on the database's clock at append: the record time, and CloudEvents' `time`. */
  readonly createdAtMs: number;
}

/** An `OutgoingMessage` as it arrived. Whatever a foreign producer may leave out is null. */
export interface ReceivedMessage {
  readonly id: string;
  readonly type: string;
  /** null where the wire does not say, e.g. HTTP from a foreign producer. */
  readonly topic: string | null;
  readonly key: string | null;
  readonly headers: ReadonlyMap<string, string>;
  readonly payload: Uint8Array | null;
  readonly sequence: bigint | null;
  readonly createdAtMs: number | null;
}
