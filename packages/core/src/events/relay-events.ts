/** What a relay reports of one subscription, step by step, and what several relays in one process report of each other. */
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
