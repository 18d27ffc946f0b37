import type { Delivery, MessageType, ReceivedMessage, Source, TraceContext } from "@waybill/core";
import type { Tx } from "@waybill/sql";

/** A message as its handler sees it. */
export interface HandledMessage<Payload> extends Omit<ReceivedMessage, "payload"> {
  /** Parsed once, and validated if the type has a schema. A tombstone is null, whatever the type says. */
  readonly payload: Payload;
  /** The trace it was appended in, or null. */
  readonly trace: TraceContext | null;
}

export interface HandlerContext {
  /** Aborts when the attempt's deadline has passed or the inbox is cut off: the transaction is lost then, whatever the handler does. */
  readonly signal: AbortSignal;
  /** 1 for the first attempt. As far as it was counted: after a crash the first may be missing. */
  readonly attempt: number;
  /** True for a dead letter that was redriven. */
  readonly isRedriven: boolean;
}

/**
 * Handles a message. What it does through `tx` commits together with the fact that the message was handled, or not at all. What it does
 * elsewhere happens at least once.
 *
 * A throw means: again, with backoff; after `attemptsMax` a dead letter. `reject(reason)` means: dead letter now. An error of a statement
 * poisons the transaction, also if it is caught: nothing is kept. On a serialization failure or deadlock it is called again at once.
 */
export type Handler<Payload> = (message: HandledMessage<Payload>, tx: Tx, context: HandlerContext) => Promise<void> | void;

/** What became of a delivery. It fits `Settlement`: settle it with your broker as `kind` says, after `process` has resolved. */
export type Processed =
  | {
      readonly kind: "done";
      /** `held` and `deadLettered` are written down and will not be lost; a `duplicate` was handled before. */
      readonly as: "handled" | "duplicate" | "ignored" | "held" | "deadLettered";
    }
  | {
      readonly kind: "again";
      readonly afterMs: number;
      /**
       * `failed`: an attempt that counts. Everything else does not: `unknown`, its COMMIT was not answered; `disturbed`, the database was
       * out of reach, locks collided, or another process is handling it; `behindItsKey`, an earlier message of its batch and key comes again first; `stopped`; `full`, more
       * messages are waiting here than there is room for.
       */
      readonly as: "failed" | "unknown" | "disturbed" | "behindItsKey" | "stopped" | "full";
    };

export interface Inbox {
  /**
   * Says who handles messages of a type. Before `run` or `process`: a message of a type that nobody knows becomes a dead letter, until a
   * version runs that knows it.
   *
   * @throws WAYBILL_CONFIG_INVALID if the type has a handler already, or is ignored
   */
  on<Payload>(type: MessageType<never, Payload>, handler: Handler<NoInfer<Payload>>): void;
  /**
   * Says that messages of a type are never wanted: they are settled and leave no trace.
   *
   * @throws WAYBILL_CONFIG_INVALID if the type has a handler
   */
  ignore(type: string | MessageType<never, unknown>): void;
  /**
   * Handles one delivery, for a consumer loop of your own. Resolves after the commit, so settle next; never rejects because of the
   * message. Messages of one key run in the order of the calls, but one that comes `again` does not stop those you have called after it:
   * call the next of a key after `done`. A message that is delivered again while its handler runs waits for that handler.
   *
   * `upkeep` is not done for you then: run it beside your loop, or call `redrive` and `removeHandled` from time to time.
   *
   * @throws WAYBILL_SCHEMA_MISMATCH, WAYBILL_MIGRATION_CHANGED at the first call; WAYBILL_DATABASE, WAYBILL_DEADLINE if the schema cannot
   *   be checked
   */
  process(delivery: Delivery): Promise<Processed>;
  /**
   * Takes deliveries from a source until the signal aborts, and does the upkeep meanwhile. Resolves when what was started is settled, at
   * the latest after `drainDeadlineMs`; also when the source ends by itself. A source that fails is consumed again, with backoff.
   *
   * @throws as `process`; the source's error, when it has failed `sourceFailuresMax` times in a row
   */
  run(source: Source, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Redrives released dead letters every second and removes old rows every minute, until the signal aborts. `run` does this for you. */
  upkeep(options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Handles what was released of the dead letters: of each key up to 100 messages, or what fits into a second. Answers how many messages
   * left them or came back to them; if any, there may be more.
   */
  redrive(): Promise<number>;
  /** Forgets messages handled longer ago than the retention, and decided dead letters, once. Answers how many rows were removed. */
  removeHandled(): Promise<number>;
  /**
   * Starts no further handler and resolves when those that run have ended, at the latest after `drainDeadlineMs`; then they are cut off.
   * A second close resolves with the first. The database stays open.
   */
  close(): Promise<void>;
}
