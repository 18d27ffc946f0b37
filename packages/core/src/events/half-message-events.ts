/** What the half-message service, its deliveries and its producers' clients and barriers report. */
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
