/**
 * What the engines report: one union, one listener, no logging.
 *
 * Events carry ids, names, numbers, codes and durations – never a payload, a header's value, a parameter or a key (a key can be a
 * customer's number). They are emitted synchronously *between* steps, so the list of events is also the list of points at which
 * the crash tests kill a process. Names are the operators' interface: adding one is a minor change, renaming one a major.
 */

/** Whose event it is: a subscription of a stream. */
interface OfSubscription {
  readonly stream: string;
  readonly subscription: string;
}

/** Why a subscription is stopped until somebody decides. */
interface StopFacts {
  readonly reason: "idsWentBack" | "ledgerReplaced";
  readonly lastId: bigint;
  readonly highestId: bigint;
}

/** Whose event it is: a consumer. */
interface OfConsumer {
  readonly consumer: string;
}

export type RelayEvent = OfSubscription &
  (
    | { readonly name: "relay.started" }
    /** Another relay holds the lease; we look again every half second. */
    | { readonly name: "relay.standby"; readonly state: "held" | "paused" | "stopped" | "deleted" }
    | { readonly name: "relay.leaseAcquiring" }
    /** `wasReleased` false: the lease of a holder that died or hangs was taken over. */
    | {
        readonly name: "relay.leaseAcquired";
        readonly epoch: bigint;
        readonly wasReleased: boolean;
        readonly lastId: bigint;
        readonly isSolo: boolean;
      }
    | { readonly name: "relay.leaseRenewed"; readonly epoch: bigint }
    /** Our write under the epoch changed no row, or our own trust in the lease ran out. */
    | { readonly name: "relay.leaseLost"; readonly epoch: bigint; readonly reason: "fenced" | "expired" }
    | { readonly name: "relay.leaseReleasing"; readonly epoch: bigint }
    | { readonly name: "relay.leaseReleased"; readonly epoch: bigint }
    /** The holder runs with another transport, filter or policy than ours. */
    | { readonly name: "relay.configDiffers"; readonly ours: string; readonly theirs: string }
    /** The database is not the one the cursor was saved in: restored, failed over, or another server. */
    | { readonly name: "relay.lineageChanged"; readonly wentBack: boolean }
    /**
     * The subscription is stopped in its row, for what it knows is of another ledger, or of ids that were taken back: an operator decides. `lastId` is
     * how far it had come, `highestId` how far the ids have.
     */
    | ({ readonly name: "relay.subscriptionStopping" } & StopFacts)
    | ({ readonly name: "relay.subscriptionStopped" } & StopFacts)
    | { readonly name: "relay.batchReading" }
    | { readonly name: "relay.batchRead"; readonly rows: number; readonly fromHoles: number; readonly durationMs: number }
    | { readonly name: "relay.batchApplied"; readonly lastId: bigint; readonly holeRanges: number; readonly unconfirmed: number }
    | { readonly name: "relay.lookingUp"; readonly messages: number }
    | { readonly name: "relay.lookedUp"; readonly finished: number; readonly held: number }
    | { readonly name: "relay.publishing"; readonly messages: number; readonly bytes: number }
    /** `delaysMs`: for each confirmed message the time from its append to now, by the database's clock. */
    | {
        readonly name: "relay.published";
        readonly confirmed: number;
        readonly rejected: number;
        readonly retry: number;
        readonly unknown: number;
        readonly durationMs: number;
        readonly delaysMs: readonly number[];
      }
    /** The transport threw, or answered another number of outcomes than it was given messages. */
    | { readonly name: "relay.transportBroken"; readonly code: string }
    | {
        readonly name: "relay.retrying";
        readonly messageId: string;
        readonly topic: string;
        readonly attempt: number;
        readonly afterMs: number;
        readonly scope: "message" | "topic" | "transport";
        readonly reason: string;
        readonly mayBeStored: boolean;
      }
    | { readonly name: "relay.parked"; readonly messages: number; readonly topics: readonly string[] }
    | { readonly name: "relay.parkedReading"; readonly messages: number }
    /** A row that was read is gone: removed by hand, for retention stays below the cursor. */
    | { readonly name: "relay.rowMissing"; readonly messageId: string; readonly sequence: bigint }
    /** Ten rejections in a row with one code: the topic is slowed down instead of filling the dead letters. */
    | { readonly name: "relay.topicBraked"; readonly topic: string; readonly reason: string }
    | { readonly name: "relay.topicReleased"; readonly topic: string }
    /** Failures in a row: nothing but a probe per backoff goes there until one message is confirmed. */
    | { readonly name: "relay.breakerOpened"; readonly topic: string; readonly failures: number }
    | { readonly name: "relay.breakerClosed"; readonly topic: string }
    /** A dead letter stops its whole topic (policy `stop`) until somebody has decided. */
    | { readonly name: "relay.topicStopped"; readonly topic: string }
    | { readonly name: "relay.topicResumed"; readonly topic: string }
    /** A call was rejected as a whole: it is published again in halves, to find whom it is about. */
    | { readonly name: "relay.takenApart"; readonly topic: string; readonly messages: number }
    /** A topic or key has waited for long: its messages are copied aside, and the cursor goes on without them. */
    | { readonly name: "relay.spilling"; readonly topic: string; readonly messages: number }
    | { readonly name: "relay.spilled"; readonly topic: string; readonly messages: number }
    | { readonly name: "relay.spillReading"; readonly topic: string }
    | { readonly name: "relay.spillRead"; readonly topic: string; readonly messages: number }
    /** Copies were confirmed and are deleted. */
    | { readonly name: "relay.spillDeleting"; readonly messages: number }
    | { readonly name: "relay.spillDeleted"; readonly messages: number }
    | { readonly name: "relay.cursorSaving"; readonly lastId: bigint; readonly ranges: number }
    | { readonly name: "relay.cursorSaved"; readonly lastId: bigint; readonly ranges: number; readonly durationMs: number }
    | { readonly name: "relay.deadLettering"; readonly messageId: string; readonly sequence: bigint; readonly reason: string }
    | { readonly name: "relay.deadLettered"; readonly messageId: string; readonly sequence: bigint; readonly reason: string }
    | { readonly name: "relay.holding"; readonly messageId: string; readonly sequence: bigint }
    | { readonly name: "relay.held"; readonly messageId: string; readonly sequence: bigint }
    | { readonly name: "relay.releasedReading" }
    | { readonly name: "relay.releasedFound"; readonly messages: number }
    | { readonly name: "relay.releasedPublished"; readonly messageId: string; readonly sequence: bigint }
    | { readonly name: "relay.releasedFinished"; readonly messageId: string; readonly sequence: bigint }
    | { readonly name: "relay.soloEnded" }
    | { readonly name: "relay.soloPublishing"; readonly messageId: string; readonly sequence: bigint }
    | { readonly name: "relay.soloDeathCounted"; readonly sequence: bigint; readonly deaths: number }
    | { readonly name: "relay.holesLooking"; readonly ranges: number }
    | { readonly name: "relay.holesProved"; readonly ranges: number }
    | { readonly name: "relay.holesForgotten"; readonly ranges: number }
    /** MySQL, MariaDB: ids of holes that are old are being taken by rows of our own. */
    | { readonly name: "relay.fencing"; readonly ids: number }
    | { readonly name: "relay.fenced"; readonly ids: number }
    /** Holes too long to be taken: an id was set by hand, or the counter. They stay, and pin history, until somebody looks. */
    | { readonly name: "relay.holesTooLong"; readonly ranges: number; readonly ids: bigint }
    /** No partition could be made ahead: rows go to the default one. `notOwner`, `busy`, or the server's refusal. */
    | { readonly name: "relay.partitionsNotKept"; readonly reason: string }
    /** PostgreSQL: there is room for ids from `low` on. */
    | { readonly name: "relay.partitionMade"; readonly low: bigint }
    /** History that is old enough is being removed, up to the low-water mark of all subscriptions. */
    | { readonly name: "relay.historyRemoving"; readonly lowWaterMark: bigint }
    /** PostgreSQL: nothing up to `upTo` is kept any more. `low` is the partition's first id, null for the default one. */
    | { readonly name: "relay.partitionEmptied"; readonly low: bigint | null; readonly upTo: bigint }
    | { readonly name: "relay.partitionDropped"; readonly low: bigint }
    /** A pass is over: `rows` went by ranges of ids, partitions as a whole, and `ids` of callers' own were forgotten. */
    | {
        readonly name: "relay.historyRemoved";
        readonly rows: number;
        readonly emptied: number;
        readonly dropped: number;
        readonly ids: number;
      }
    /** `busy`: somebody else has the right to do it now; `notOwner`: on PostgreSQL only a role that owns the tables may; or the server's refusal. */
    | { readonly name: "relay.historyNotRemoved"; readonly reason: string }
    /**
     * How large the ledger is, once a minute. `lowWaterMark`: the lowest id that is needed, by the subscription `heldBackBy` before all others,
     * for `neededAgeMs` by now. `partitions` and what follows: PostgreSQL only; rows of the default one are counted up to 10 000.
     */
    | {
        readonly name: "relay.ledgerMeasured";
        readonly highestId: bigint;
        readonly removedTo: bigint;
        readonly bytes: bigint;
        readonly lowWaterMark: bigint | null;
        readonly heldBackBy: string | null;
        readonly neededAgeMs: number | null;
        readonly partitions: number | null;
        readonly partitionsAhead: number | null;
        readonly defaultRows: number | null;
      }
    /** History that is old is kept for a subscription that nobody runs. Run it, or delete it. */
    | { readonly name: "relay.historyPinned"; readonly by: string; readonly lowWaterMark: bigint; readonly neededAgeMs: number }
    /** Rows lie in the default partition: nobody made room in time. They cost nothing but space, until they are many. */
    | { readonly name: "relay.defaultPartitionUsed"; readonly rows: number }
    /** More than fifty partitions: something keeps history, or keeps empty partitions from being dropped. */
    | { readonly name: "relay.partitionsMany"; readonly partitions: number }
    /** Delayed messages that are due are locked and about to enter the ledger; they are written and about to be committed; they are there. */
    | { readonly name: "relay.delayedMoving"; readonly messages: number }
    | { readonly name: "relay.delayedCommitting"; readonly messages: number }
    /** `lateMs`: for how long the first of them had been due, by the database's clock. */
    | { readonly name: "relay.delayedMoved"; readonly messages: number; readonly lateMs: number }
    /** The server refused: its role has no rights on them, say. They wait. */
    | { readonly name: "relay.delayedNotMoved"; readonly reason: string }
    /** Messages that were not confirmed in time enter the ledger again, or are given up. */
    | { readonly name: "relay.unconfirmedRepeating"; readonly messages: number }
    | { readonly name: "relay.unconfirmedCommitting"; readonly messages: number }
    /** `lateMs`: for how long the first of them had been due, by the database's clock. */
    | { readonly name: "relay.unconfirmedRepeated"; readonly messages: number; readonly lateMs: number }
    /** An alarm: repeated as often as it may be, a message was confirmed by none of these, and is a dead letter of the reader `<stream>/@confirmations`. */
    | {
        readonly name: "relay.unconfirmedGivenUp";
        readonly messageId: string;
        readonly type: string;
        readonly topic: string;
        readonly consumers: readonly string[];
      }
    /**
     * Every ten seconds: how many confirmations are waited for, how many of them by messages that were repeated, both counted up to 1 000, and how old the
     * oldest of them is; null: none is waited for.
     */
    | {
        readonly name: "relay.unconfirmedMeasured";
        readonly waiting: number;
        readonly repeated: number;
        readonly oldestMs: number | null;
      }
    /** Such dead letters were redriven: they enter the ledger once more. */
    | { readonly name: "relay.unconfirmedRedriven"; readonly messages: number }
    /** The server refused: its role has no rights on them, say. They wait. */
    | { readonly name: "relay.unconfirmedNotRepeated"; readonly reason: string }
    /** The count of what waits for confirmations took too long or was refused; repeats go on, and it is tried again after five minutes. */
    | { readonly name: "relay.unconfirmedNotMeasured"; readonly reason: string }
    /** The server's settings promise less than they could; each says which and what it means. Told by a relay that takes the lease. */
    | { readonly name: "relay.settingsDoubtful"; readonly warnings: readonly string[] }
    /** PostgreSQL: hints of writers wake this relay from now on. */
    | { readonly name: "relay.hintListening" }
    /** Hints do not arrive for now: `pooled`, or why the connection could not be had or ended. Polling goes on as always. */
    | { readonly name: "relay.hintLost"; readonly reason: string }
    /** Too many ranges are open: nothing new is read until some end. */
    | { readonly name: "relay.rangesFull"; readonly ranges: number; readonly topics: readonly string[] }
    /** All memory is dropped and everything starts again from the saved cursor (rule R1). */
    | { readonly name: "relay.restarting"; readonly code: string; readonly afterMs: number }
    | { readonly name: "relay.draining" }
    | { readonly name: "relay.stopped" }
  );

/** Of several relays in one process. */
export type RelaysEvent = OfSubscription /**
 * One of them ended with an error that somebody must look at; the others go on. It begins anew after `afterMs`; null: it does not, for none is left
 * that runs, or a stop was asked for.
 */ & {
  readonly name: "relays.relayEnded";
  readonly relay: string;
  readonly code: string;
  readonly message: string;
  readonly afterMs: number | null;
};

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

/** A hint to relays did not get through: they find what was committed by their poll. */
export type OutboxEvent = { readonly name: "outbox.hintLost"; readonly stream: string };

export type SqlEvent =
  /** A connection of ours was destroyed: its deadline passed, or the server or network ended it. */
  | { readonly name: "sql.connectionLost"; readonly code: string }
  /** A whole unit of work is run again after a serialization failure or deadlock; `errno` is MySQL's number, null on PostgreSQL. */
  | { readonly name: "sql.unitRepeated"; readonly sqlState: string; readonly errno: number | null; readonly attempt: number };

/** Of a producer's barrier. */
export type BarrierEvent =
  /**
   * A check cannot be answered until somebody puts this right: tables or identity are missing, or a right. `code`: SQLSTATE or number of the
   * database's error, or a word of ours. The answer was "pending".
   */
  | { readonly name: "barrier.settleFailed"; readonly producer: string; readonly code: string }
  /** The check is for a half message that was prepared for another database. */
  | { readonly name: "barrier.mismatched"; readonly producer: string; readonly messageId: string };

/** Whose event it is: a half message of a producer, in the producer's process. */
interface OfHalfMessage {
  readonly producer: string;
  readonly messageId: string;
}

/** Of the client of the half-message service. */
export type ProducerEvent =
  | (OfHalfMessage &
      (
        | { readonly name: "producer.preparing" }
        | { readonly name: "producer.prepareRetrying"; readonly attempt: number; readonly reason: string; readonly afterMs: number }
        | { readonly name: "producer.prepared"; readonly attempts: number; readonly isReplayed: boolean }
        | { readonly name: "producer.joined" }
        /** The work is done, its COMMIT is next. */
        | { readonly name: "producer.worked" }
        | { readonly name: "producer.committed" }
        | { readonly name: "producer.rolledBack" }
        /** Nobody answered the COMMIT: the barrier is asked. */
        | { readonly name: "producer.outcomeUnknown" }
        | { readonly name: "producer.reporting"; readonly decision: "committed" | "rolledBack" }
        | { readonly name: "producer.reported"; readonly decision: "committed" | "rolledBack"; readonly attempts: number }
        | { readonly name: "producer.reportRetrying"; readonly attempt: number; readonly reason: string; readonly afterMs: number }
        /** The decision was not reported; a check-back will ask for it. */
        | { readonly name: "producer.reportFailed"; readonly decision: "committed" | "rolledBack"; readonly reason: string }
        /** The service has decided otherwise than the local transaction ended: an operator must look. */
        | { readonly name: "producer.decisionConflicted"; readonly decision: "committed" | "rolledBack" }
      ))
  | { readonly name: "producer.checksArrived"; readonly producer: string; readonly checks: number }
  | {
      readonly name: "producer.checksAnswered";
      readonly producer: string;
      readonly committed: number;
      readonly rolledBack: number;
      readonly undecided: number;
    }
  /** Checks cannot be fetched; tried again after `afterMs`. */
  | { readonly name: "producer.claimFailed"; readonly producer: string; readonly reason: string; readonly afterMs: number };

export type HttpEvent =
  | { readonly name: "http.refused"; readonly status: number; readonly reason: string }
  | { readonly name: "http.destinationGone"; readonly topic: string }
  | { readonly name: "http.breakerOpened"; readonly topic: string }
  | { readonly name: "http.breakerClosed"; readonly topic: string }
  /** Of `alertHook`: its receiver has taken an alert, after so many calls. */
  | { readonly name: "http.alertTold"; readonly kind: string; readonly subject: string; readonly attempts: number }
  /** An alert that the hook could not tell: called often enough in vain, too many waited, or it was closed. */
  | {
      readonly name: "http.alertNotTold";
      readonly kind: string;
      readonly subject: string;
      readonly attempts: number;
      readonly reason: string;
    };

/** Whose connection to RabbitMQ it is, and the broker as `host:port/vhost`. */
interface OfRabbitmq {
  readonly role: "transport" | "source";
  readonly broker: string;
}

export type RabbitmqEvent = OfRabbitmq &
  (
    | { readonly name: "rabbitmq.connected"; readonly version: string | null }
    /** An attempt to connect failed; the next begins after `afterMs`. */
    | { readonly name: "rabbitmq.connectFailed"; readonly reason: string; readonly brokerCode: string | null; readonly afterMs: number }
    /** The connection ended; what was not confirmed is unknown. */
    | { readonly name: "rabbitmq.lost"; readonly reason: string; readonly brokerCode: string | null; readonly afterMs: number }
    /** An alarm of the broker's, memory or disk: it takes nothing that is published. `reason` is its own word. */
    | { readonly name: "rabbitmq.blocked"; readonly reason: string }
    | { readonly name: "rabbitmq.unblocked"; readonly durationMs: number }
    /** A message found no queue and came back: it is not stored and waits for a binding. */
    | { readonly name: "rabbitmq.returned"; readonly exchange: string; readonly messageId: string; readonly brokerCode: string }
    /** The broker closed the channel of one exchange; `unsettled` messages on it are published again, one at a time. */
    | {
        readonly name: "rabbitmq.channelClosed";
        readonly exchange: string;
        readonly reason: string;
        readonly brokerCode: string | null;
        readonly unsettled: number;
      }
    /** Published one at a time, a message closed the channel again: it is the one that the broker does not take. */
    | { readonly name: "rabbitmq.culpritFound"; readonly exchange: string; readonly messageId: string; readonly brokerCode: string | null }
    /** Something about an exchange or queue that loses or hides messages; `rule` says what. */
    | { readonly name: "rabbitmq.topologyRisky"; readonly what: "exchange" | "queue"; readonly object: string; readonly rule: string }
  );

export type KafkaEvent =
  /** Keys may go elsewhere from now on: their order across this moment is not promised. */
  | { readonly name: "kafka.partitionsChanged"; readonly topic: string; readonly from: number; readonly to: number }
  /** A send ended in something unexpected; the next one goes over another producer. `code`: Kafka's, if one was seen. */
  | { readonly name: "kafka.producerReplaced"; readonly topic: string; readonly reason: string; readonly code: number | null };

/** Whose event it is: a source, and where it takes messages from. `group`: the consumer group; of RabbitMQ, the queue. */
interface OfSource {
  readonly system: "kafka" | "rabbitmq";
  readonly group: string;
}

export type SourceEvent = OfSource &
  /** What is ours from now on; everything of before is forgotten. */
  (
    | { readonly name: "source.joined"; readonly partitions: number }
    /** The group is shared out again: nothing new is handed over until the next `joined`. */
    | { readonly name: "source.rebalancing" }
    /**
     * Messages are gone that this group has not read: they expired before (`low` > `committed`), or the log is shorter than it was, truncated
     * or made anew (`high` < `committed`). It goes on with what there is.
     */
    | {
        readonly name: "source.gapFound";
        readonly topic: string;
        readonly partition: number;
        readonly committed: bigint;
        readonly low: bigint;
        readonly high: bigint;
      }
    /** What was settled is not known to the broker as settled: it may deliver it again. Tried again by itself. */
    | { readonly name: "source.commitFailed"; readonly reason: string }
    /** It makes no progress, or its client has given up: it starts anew after `afterMs`. `attempt` counts those without progress in between. */
    | { readonly name: "source.rebuilding"; readonly reason: string; readonly attempt: number; readonly afterMs: number }
    /** The first settlement after a rebuild. */
    | { readonly name: "source.recovered" }
    /**
     * The broker took back what was not settled within its own time: `unsettled` deliveries, the oldest with us for `heldMs`. They come
     * again. A handler takes too long for that broker, or many slow messages share a key.
     */
    | { readonly name: "source.consumerTimedOut"; readonly unsettled: number; readonly heldMs: number; readonly afterMs: number }
    /** A message was delivered so often that its broker will delete it at `limit`; before that it becomes a dead letter of the inbox. */
    | { readonly name: "source.redeliveredOften"; readonly messageId: string; readonly deliveries: number; readonly limit: number }
    /** The messages held together were too large: so many are taken at once from now on. */
    | { readonly name: "source.prefetchReduced"; readonly prefetch: number }
    /** How many messages the broker has that the group has not settled, as far as one can tell: those that are with us among them. */
    | { readonly name: "source.lagMeasured"; readonly messages: number }
    | { readonly name: "source.stopped" }
  );

export type HalfMessageEvent =
  // The service
  | { readonly name: "halfMessage.listening"; readonly at: "public" | "admin"; readonly host: string; readonly port: number }
  /** A transaction begins that stores, or decides, what so many requests ask for. */
  | { readonly name: "halfMessage.storing"; readonly requests: number }
  | { readonly name: "halfMessage.deciding"; readonly requests: number }
  /** It is committed, and nobody was told yet. */
  | { readonly name: "halfMessage.stored"; readonly requests: number }
  | { readonly name: "halfMessage.decided"; readonly requests: number }
  /** A call failed in a way that nobody expected; `code` is the error's. */
  | { readonly name: "halfMessage.failed"; readonly route: string; readonly code: string }
  /** The service was told to stop: prepares are refused, and what is under way is answered. */
  | { readonly name: "halfMessage.draining" }
  | { readonly name: "halfMessage.stopped" }
  /** A message of an accepted source is not stored: its source brings it again. */
  | { readonly name: "halfMessage.notAccepted"; readonly producer: string; readonly messageId: string; readonly code: string }
  /** Nothing of this kind was removed; it is tried again with the next purge. */
  | { readonly name: "halfMessage.purgeFailed"; readonly kind: "halfMessages" | "log" | "nonces"; readonly code: string }
  /** The alert hook has answered for it. */
  | { readonly name: "halfMessage.alertTold"; readonly kind: string; readonly subject: string; readonly attempts: number }
  /** It has not, and will not be called about it again. */
  | {
      readonly name: "halfMessage.alertNotTold";
      readonly kind: string;
      readonly subject: string;
      readonly attempts: number;
      readonly reason: string;
    }
  // Check-back
  | { readonly name: "halfMessage.checkScanFailed"; readonly code: string }
  | { readonly name: "halfMessage.checkClaimFailed"; readonly producer: string; readonly code: string }
  | { readonly name: "halfMessage.checksAsking"; readonly producer: string; readonly checks: number }
  /** `failure`: why there is no answer; null: there is one. */
  | { readonly name: "halfMessage.checksAsked"; readonly producer: string; readonly checks: number; readonly failure: string | null }
  /** What a check brought could not be written: it is asked again when its lease ends. */
  | { readonly name: "halfMessage.checkNotRecorded"; readonly producer: string; readonly messageId: string; readonly code: string }
  /** So many calls in a row failed: a probe per backoff goes until one is answered. */
  | { readonly name: "halfMessage.producerBlocked"; readonly producer: string; readonly failures: number };

/** Whose event it is: a destination of deliveries; `receivers` for all notifications. */
interface OfDestination {
  readonly destination: string;
}

export type DeliveryEvent = OfDestination &
  /** Deliveries are leased, an attempt is counted at each, and nothing is sent yet. */
  (
    | { readonly name: "delivery.claimed"; readonly deliveries: number }
    | { readonly name: "delivery.publishing"; readonly messages: number }
    /** The destination has answered, and nothing is written yet. `delaysMs`: for each that was confirmed the time since it was to go. */
    | {
        readonly name: "delivery.published";
        readonly confirmed: number;
        readonly rejected: number;
        readonly retry: number;
        readonly unknown: number;
        readonly durationMs: number;
        readonly delaysMs: readonly number[];
      }
    /** `lost`: another one has the lease by now, or an acknowledgement came first. */
    | { readonly name: "delivery.recorded"; readonly written: number; readonly lost: number }
    | {
        readonly name: "delivery.retrying";
        readonly deliveryId: string;
        readonly messageId: string;
        readonly attempt: number;
        readonly afterMs: number;
        readonly reason: string;
      }
    | { readonly name: "delivery.dead"; readonly deliveryId: string; readonly messageId: string; readonly reason: string }
    /** Failures in a row: nothing but a probe per backoff goes there until something is confirmed. */
    | { readonly name: "delivery.breakerOpened"; readonly failures: number }
    | { readonly name: "delivery.breakerClosed" }
    /** Ten rejections in a row with one code: what would be given up waits, until one message is confirmed. */
    | { readonly name: "delivery.topicBraked"; readonly topic: string; readonly reason: string }
    /** Deliveries are due to a destination that is not configured; after a while they are given up. */
    | { readonly name: "delivery.destinationUnknown" }
    /** The service's database did not do what it was asked for: again later. What was published and not recorded is published again. */
    | { readonly name: "delivery.databaseFailed"; readonly operation: "claim" | "record" | "due"; readonly code: string }
  );

export type WaybillEvent =
  | RelayEvent
  | RelaysEvent
  | OutboxEvent
  | InboxEvent
  | SqlEvent
  | BarrierEvent
  | ProducerEvent
  | HttpEvent
  | RabbitmqEvent
  | KafkaEvent
  | SourceEvent
  | HalfMessageEvent
  | DeliveryEvent;

/** A listener. It cannot disturb what it listens to; whatever it does takes the engine's time. */
export type OnEvent = (event: WaybillEvent) => void;

/** Reports an event. A listener's throw or rejection ends here: it cannot break the loop it listens to. */
export function emit(onEvent: OnEvent | undefined, event: WaybillEvent): void {
  try {
    const returned: unknown = onEvent?.(event);
    if (returned instanceof Promise) returned.catch(() => undefined);
  } catch {
    // The listener's fault, and nobody to tell: reporting is what failed.
  }
}
