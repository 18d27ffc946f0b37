/** What an inbox reports of its deliveries, its handlers and its upkeep. */
/** Whose event it is: a consumer. */
interface OfConsumer {
  readonly consumer: string;
}

export type InboxEvent = OfConsumer &
  (
    | { readonly name: "inbox.started" }
    | { readonly name: "inbox.received"; readonly messages: number }
    | { readonly name: "inbox.attemptStarting"; readonly messageId: string }
    | { readonly name: "inbox.attemptStarted"; readonly messageId: string; readonly attempt: number }
    | { readonly name: "inbox.unitBegun"; readonly messageId: string }
    | { readonly name: "inbox.deduped"; readonly messageId: string; readonly isNew: boolean }
    | { readonly name: "inbox.handling"; readonly messageId: string; readonly type: string }
    | { readonly name: "inbox.handled"; readonly messageId: string; readonly durationMs: number }
    | { readonly name: "inbox.committing"; readonly messageId: string }
    | { readonly name: "inbox.committed"; readonly messageId: string }
    | { readonly name: "inbox.outcomeUnknown"; readonly messageId: string }
    | { readonly name: "inbox.duplicate"; readonly messageId: string }
    /** Versions were compared and kept, before the handler of these messages. `stale`: how many of them tell of no newer version. */
    | { readonly name: "inbox.guarded"; readonly messages: number; readonly stale: number }
    /** Its producer asks for a confirmation: the application's `confirm` is called. */
    | { readonly name: "inbox.confirming"; readonly messageId: string }
    /** Its producer asks for a confirmation, and gets it if the commit comes. */
    | { readonly name: "inbox.confirmed"; readonly messageId: string }
    /** It was handled before, and its confirmation failed as often as it may: it is settled as a duplicate, and its producer sends it again. */
    | { readonly name: "inbox.confirmationGivenUp"; readonly messageId: string; readonly reason: string }
    /** What its handler returned is kept, if the commit comes. */
    | { readonly name: "inbox.resultKept"; readonly messageId: string; readonly bytes: number }
    /** Of `once`: nobody has answered the request so far; its work comes next. */
    | { readonly name: "inbox.requestBegun"; readonly messageId: string }
    | { readonly name: "inbox.requestClaimed"; readonly messageId: string }
    | { readonly name: "inbox.requestCommitted"; readonly messageId: string }
    /** It was answered before. */
    | { readonly name: "inbox.requestRepeated"; readonly messageId: string }
    /** Settled without its handler: its entity is known in this version or a newer one. */
    | { readonly name: "inbox.stale"; readonly messageId: string; readonly type: string }
    /** Several messages in one transaction. `fresh`: how many of them nobody has handled. */
    | { readonly name: "inbox.batchBegun"; readonly messages: number }
    | { readonly name: "inbox.batchDeduped"; readonly messages: number; readonly fresh: number }
    /** A handler that takes many gets so many. */
    | { readonly name: "inbox.handlingMany"; readonly messages: number; readonly type: string }
    | { readonly name: "inbox.handledMany"; readonly messages: number; readonly durationMs: number }
    /** `messages`: those that the commit settles; the others go back in line. */
    | { readonly name: "inbox.batchCommitting"; readonly messages: number }
    | { readonly name: "inbox.batchCommitted"; readonly messages: number }
    /** Nothing of it was kept; its messages are handled one by one, or come again. */
    | { readonly name: "inbox.batchRolledBack"; readonly messages: number; readonly code: string }
    /** The handler threw, or its deadline passed; the attempt is counted next. `durationMs`: since the handler was called. */
    | { readonly name: "inbox.handlerFailed"; readonly messageId: string; readonly code: string; readonly durationMs: number }
    /** More than one in a hundred of the last thousand attempts failed: told once, until at most one in two hundred did. */
    | { readonly name: "inbox.failureRateHigh"; readonly failed: number; readonly attempts: number }
    | { readonly name: "inbox.failureRateNormal"; readonly failed: number; readonly attempts: number }
    | {
        readonly name: "inbox.retrying";
        readonly messageId: string;
        readonly attempt: number;
        readonly afterMs: number;
        readonly code: string;
      }
    | { readonly name: "inbox.deadLettering"; readonly messageId: string; readonly reason: string }
    | { readonly name: "inbox.deadLettered"; readonly messageId: string; readonly reason: string }
    /** The notification about a dead letter failed, and the dead letter with it: it is written without, when the message comes again. */
    | { readonly name: "inbox.notifyingFailed"; readonly messageId: string; readonly code: string }
    | { readonly name: "inbox.holding"; readonly messageId: string }
    | { readonly name: "inbox.held"; readonly messageId: string }
    | { readonly name: "inbox.ignored"; readonly messageId: string; readonly type: string }
    | { readonly name: "inbox.redriving"; readonly messageId: string }
    | { readonly name: "inbox.redriven"; readonly messageId: string }
    /** Dead letters of types that were unknown and are known now go back on their way. */
    | { readonly name: "inbox.typesReleasing"; readonly types: number }
    | { readonly name: "inbox.typesReleased"; readonly messages: number }
    | { readonly name: "inbox.settling"; readonly messages: number }
    | { readonly name: "inbox.retentionRemoving" }
    | { readonly name: "inbox.retentionRemoved"; readonly rows: number }
    /** Redriving or retention could not be done this time. */
    | { readonly name: "inbox.upkeepFailed"; readonly code: string; readonly afterMs: number }
    | { readonly name: "inbox.sourceFailed"; readonly code: string; readonly afterMs: number }
    | { readonly name: "inbox.draining" }
    | { readonly name: "inbox.stopped" }
  );
