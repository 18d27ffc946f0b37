import type { WaybillError } from "./errors.ts";
import type { OutgoingMessage } from "./message.ts";

/** How far a failure reaches: this message, everything that goes to its topic, or everything that goes through this transport. */
export type FailureScope = "message" | "topic" | "transport";

/**
 * What a publish ended in. Every external effect has three ends – done, surely not done, unknown – and whoever receives an outcome
 * handles all of them. `rejected` and `retry` promise that the message is surely not stored; any doubt is `unknown`.
 */
export type PublishOutcome =
  /** The broker's word that it has this message. */
  | { readonly kind: "confirmed" }
  /** This message can never be published as it is: too large, malformed. Surely not stored. */
  | { readonly kind: "rejected"; readonly error: WaybillError<"WAYBILL_TRANSPORT"> }
  /** Surely not stored; may be tried again. Above scope `message` it uses up none of the message's attempts. */
  | { readonly kind: "retry"; readonly error: WaybillError<"WAYBILL_TRANSPORT">; readonly scope: FailureScope; readonly afterMs?: number }
  /** May be stored. Published again with the same id; the inbox dedupes. */
  | {
      readonly kind: "unknown";
      readonly error: WaybillError<"WAYBILL_TRANSPORT">;
      readonly scope: FailureScope;
      readonly afterMs?: number;
    };

/** The reason of a `retry` for a message whose predecessor of the same key was not confirmed. Uses up no attempt. */
export const behindItsKey = "behindItsKey";

export interface PublishOptions {
  readonly deadlineMs: number;
  /**
   * Asked synchronously before every write to the receiver, where it is given: false means that the caller's lease ran out. Then
   * nothing more is written, and what was not written answers `retry`, scope `transport`, reason `leaseLost`.
   */
  readonly mayWrite?: () => boolean;
}

/**
 * Where messages go out. Two methods; the contract is `transportContract` in `@waybill/testing`, which every implementation runs.
 *
 * The relay never has messages of one (topic, key) in two calls at once. Within a call a key stops at its first outcome that is
 * not `confirmed`: later messages of that key are not sent and answer `retry`, scope `message`, reason `behindItsKey`. So they do when
 * they travelled in one atomic unit with it and none of that is stored; where that is `unknown`, so are they.
 */
export interface Transport {
  /**
   * Publishes in the given order and answers one outcome per message, in the same order, within `deadlineMs` of the call by its own
   * monotonic clock. Never throws for a message's sake: a throw tells the relay that the transport itself is broken.
   * Buffers nothing between calls. What is unsettled at the deadline is `unknown` and its connection is destroyed.
   */
  publish(batch: readonly OutgoingMessage[], options: PublishOptions): Promise<readonly PublishOutcome[]>;
  /** Takes nothing new, waits for what is in flight until the deadline, destroys, resolves. A second close resolves with the first. */
  close(options: { readonly deadlineMs: number }): Promise<void>;
}
