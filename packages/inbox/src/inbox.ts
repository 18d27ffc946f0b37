import type { Delivery, MessageType, ReceivedMessage, Source, TraceContext } from "@waybill/core";
import type { Tx } from "@waybill/sql";
import type { InboxHealth } from "./inbox-health.ts";

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
 * A throw means: again, with backoff; after `attemptsMax` a dead letter. `retryAfter(ms)`: again, after so long. `reject(reason)`: dead letter now.
 * `hold(reason)`: the same, and its key waits for a decision. An error of a statement
 * poisons the transaction, also if it is caught: nothing is kept. On a serialization failure or deadlock it is called again at once.
 *
 * Messages that arrive together share a transaction, in which their handlers run one after the other: see `batchMax`. If one fails, all are
 * rolled back and called again, each in a transaction of its own.
 */
export type Handler<Payload, Result = void> = (
  message: HandledMessage<Payload>,
  tx: Tx,
  context: HandlerContext,
) => Promise<Result> | Result;

/**
 * Handles messages of one type that arrived together, in their order, so that one statement can write for all of them: a lone message comes as
 * an array of one. What it does through `tx` commits for all or for none. If it throws or rejects, each of its messages comes by itself, and what
 * it throws then counts for that one.
 */
export type BatchHandler<Payload> = (messages: readonly HandledMessage<Payload>[], tx: Tx, context: HandlerContext) => Promise<void> | void;

/** What became of a delivery. It fits `Settlement`: settle it with your broker as `kind` says, after `process` has resolved. */
export type Processed =
  | {
      readonly kind: "done";
      /** `held` and `deadLettered` are written down and will not be lost; a `duplicate` was handled before; `stale`: a newer version was. */
      readonly as: "handled" | "duplicate" | "stale" | "ignored" | "held" | "deadLettered";
      /**
       * What the handler returned, as JSON makes of it, if its type keeps results (`keepResult`): of one that was handled, and of a duplicate the
       * first time's. Left out where nothing is kept, or not any more.
       */
      readonly result?: unknown;
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

export interface HandlerOptions {
  /** Name of the policy by which messages of the type are tried again. Default `usual`: what `backoff` and `attemptsMax` of the inbox say. */
  readonly retry?: string;
  /**
   * Keeps what the handler returns, as JSON of at most `resultBytesMax`, in its transaction: `process` tells it of a duplicate, too. Default false. What is
   * no JSON or too large is a failed attempt. Not for `onBatch`.
   */
  readonly keepResult?: boolean;
  /**
   * Guards the handler by the version that the type's messages have in the catalogue: it gets one only if its version is higher than any that a
   * guarded handler of this consumer has had of the same entity. Of two messages with one version the first that commits wins. Others are settled
   * without it (`skip`), or become dead letters with the reason `stale` (`reject`), behind which their key may wait. Left out: no guard.
   *
   * The version is kept in the handler's transaction, and its row is locked to the end of it: handlers of one entity run one after the other, in
   * other processes, too.
   */
  readonly staleness?: "skip" | "reject";
}

export interface RequestOptions {
  /**
   * What makes it the same request: its body as it arrived, and what else counts, such as who asks, method and path. Only a digest of it is kept. If ids are
   * chosen by clients, put who asks into the id, too: two that choose the same id must not get each other's answers.
   */
  readonly request: string | Uint8Array;
  /** Milliseconds to wait for the same request where it is being handled already, up to a day. Default 5 000. */
  readonly waitMs?: number;
}

/** Does what a request asks for, through `tx`, and returns its answer. Called again, like a handler, after a serialization failure or deadlock. */
export type RequestWork<Result> = (tx: Tx, context: Pick<HandlerContext, "signal">) => Promise<Result> | Result;

export interface Answered<Result> {
  /** As JSON makes of it, the first time, too; null for nothing. */
  readonly result: Result;
  /** True: it was handled before, and this is what was answered then. */
  readonly isRepeated: boolean;
}

export interface Inbox {
  /**
   * Says who handles messages of a type. Before `run` or `process`: a message of a type that nobody knows becomes a dead letter, until a
   * version runs that knows it.
   *
   * @throws WAYBILL_CONFIG_INVALID if the type has a handler already, or is ignored, or nobody knows the policy, or a guard is asked for messages
   *   without a version
   */
  on<Payload, Result = void>(type: MessageType<never, Payload>, handler: Handler<NoInfer<Payload>, Result>, options?: HandlerOptions): void;
  /**
   * As `on`, for a handler that takes the messages of a type that arrived together. Of each key they keep their order, also among other types.
   *
   * @throws WAYBILL_CONFIG_INVALID as `on`
   */
  onBatch<Payload>(type: MessageType<never, Payload>, handler: BatchHandler<NoInfer<Payload>>, options?: HandlerOptions): void;
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
  /**
   * Handles a request once, for HTTP handlers and other calls that may be repeated: `work` and its answer are one commit, and whoever asks again under the
   * same id within `resultRetentionMs` gets the first answer. If `work` throws nothing is kept, and the next one works. Its deadline is
   * `handlerDeadlineMs`. Ids are the consumer's own and have nothing to do with those of messages.
   *
   * @throws what `work` throws; WAYBILL_MESSAGE_ID_REPEATED if another request was made under this id; WAYBILL_IN_PROGRESS if the same is being handled and
   *   has not ended within `waitMs`; WAYBILL_OUTCOME_UNKNOWN if COMMIT was not answered and nothing is there so far, or nobody can be asked: ask again under
   *   the same id; WAYBILL_RESULT_LOST if `work` had ended the transaction itself; WAYBILL_CONFIG_INVALID for an option; WAYBILL_RESULT_TOO_LARGE, WAYBILL_PAYLOAD_NOT_JSON; WAYBILL_MESSAGE_INVALID for an id; WAYBILL_DEADLINE, also when the inbox is closed;
   *   WAYBILL_DATABASE; and as `process`
   */
  once<Result>(id: string, options: RequestOptions, work: RequestWork<Result>): Promise<Answered<Result>>;
  /** Redrives released dead letters every second and removes old rows every minute, until the signal aborts. `run` does this for you. */
  upkeep(options: { readonly signal: AbortSignal }): Promise<void>;
  /**
   * Handles what was released of the dead letters: of each key up to 100 messages, or what fits into a second. Answers how many messages
   * left them or came back to them; if any, there may be more.
   */
  redrive(): Promise<number>;
  /** Forgets messages handled longer ago than the retention, results, and decided dead letters, once. Answers how many rows were removed. */
  removeHandled(): Promise<number>;
  /** How it stands: for readiness and metrics, see `createInboxMetrics`. Costs nothing. */
  health(): InboxHealth;
  /**
   * Starts no further handler and resolves when those that run have ended, at the latest after `drainDeadlineMs`; then they are cut off.
   * A second close resolves with the first. The database stays open.
   */
  close(): Promise<void>;
}
